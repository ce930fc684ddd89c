"""What a model can be computed with, and which of it is installed."""

from __future__ import annotations

import logging
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from router_memory.errors import InvalidRequest, MissingExtra

__all__ = [
    "AUTO",
    "INT8",
    "ONNX",
    "REMEDY",
    "RUNTIMES",
    "TORCH",
    "check_runtime",
    "onnx_installed",
    "resolve",
    "why_not_onnx",
]

_log = logging.getLogger("router_memory.bert")

TORCH, ONNX, INT8 = "torch", "onnx", "onnx-int8"
RUNTIMES = (TORCH, ONNX, INT8)
AUTO = "auto"
REMEDY = "pip install 'router-memory[onnx]'"
"""Installs what is missing, and versions that work together in place of others."""

_FIRST, _TOO_NEW = (1, 20), (1, 29)
"""Versions of onnxruntime, as the extra `onnx` has them. From 1.29 on it sends usage data to its maker by itself."""
_DISRUPTIVE = ("usearch", (2, 26, 2))
"""From this version on, a process that has loaded it crashes in onnxruntime, or has it read graphs wrongly: it brings
C++ symbols that are unique in a process, and onnxruntime takes them for its own."""


def check_runtime(runtime: str) -> None:
    """Refuses what is neither one of `RUNTIMES` nor `AUTO`.

    Raises:
        InvalidRequest: There is no such runtime.
    """
    if runtime not in (AUTO, *RUNTIMES):
        known = ", ".join((AUTO, *RUNTIMES))
        raise InvalidRequest(f"there is no embedding runtime {runtime!r}", field="runtime", hint=f"known are {known}")


def resolve(runtime: str) -> str:
    """One of `RUNTIMES`: `runtime` itself, or for `AUTO` the fastest with torch's vectors that is installed.

    Nothing heavy is imported. Where `AUTO` is torch although onnxruntime is installed, a warning is logged, once in a
    process.

    Raises:
        MissingExtra: It is not installed, or in a version that is not to be loaded.
    """
    if runtime == TORCH:
        return TORCH
    why = why_not_onnx()
    if not why:
        return ONNX if runtime == AUTO else runtime
    if runtime == AUTO:
        if onnx_installed():
            _warn(why)
        return TORCH
    raise MissingExtra(f"the embedding runtime {runtime} ({why})", extra="onnx")


@cache
def _warn(why: str) -> None:
    _log.warning("the embedding runtime is torch: %s (%s, or set embedding.runtime: torch)", why, REMEDY)


def onnx_installed() -> bool:
    """Whether there is an onnxruntime, of whichever version."""
    return _installed("onnxruntime") is not None


def why_not_onnx() -> str:
    """Why ONNX Runtime cannot be used, ``""`` where it can."""
    found = _installed("onnxruntime")
    if found is None:
        return "onnxruntime is not installed"
    if not _FIRST <= found < _TOO_NEW:
        between = f"from {_text(_FIRST)} up to below {_text(_TOO_NEW)}"
        return f"onnxruntime {_text(found)} is installed, wanted is one {between}"
    name, broken = _DISRUPTIVE
    other = _installed(name)
    if other is not None and other >= broken:
        return f"{name} {_text(other)} is installed, which breaks onnxruntime; wanted is one below {_text(broken)}"
    return ""


def _installed(package: str) -> tuple[int, ...] | None:
    """The numbers of a package's version, ``None`` where it is not installed."""
    try:
        found = version(package)
    except PackageNotFoundError:
        return None
    return tuple(int(number) for number in re.findall(r"\d+", found)[:3])


def _text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
