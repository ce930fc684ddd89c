"""Every backend that can store memories is held to the contract."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from router_memory import backends
from router_memory.protocols import MemoryStore
from tests import contract


def _stores() -> set[str]:
    """Names of the packages in `backends` that export a class with every method of `MemoryStore`."""
    methods = {name for name, _ in inspect.getmembers(MemoryStore, inspect.isfunction) if not name.startswith("_")}
    names = set()
    for module in pkgutil.iter_modules(backends.__path__):
        package = importlib.import_module(f"{backends.__name__}.{module.name}")
        exported = [getattr(package, name) for name in getattr(package, "__all__", ())]
        if any(inspect.isclass(item) and methods <= set(dir(item)) for item in exported):
            names.add(module.name)
    return names


def test_every_store_has_a_suite() -> None:
    """The suites ``test_<backend>.py`` are those of the stores that exist, no more and no fewer."""
    suites = {module.name.removeprefix("test_") for module in pkgutil.iter_modules(contract.__path__)}
    assert suites - {"suites", "samples", "store_contract", "hotcache", "hotcache_contract"} == _stores()
