"""What importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "glide", "pydantic", "numpy", "sentence_transformers", "transformers", "yaml", "usearch", "Stemmer")


@pytest.mark.parametrize(
    "module", ["router_memory", "router_memory.errors", "router_memory.types", "router_memory.protocols"]
)
def test_importing_is_light(module: str) -> None:
    """Neither the model's libraries nor numpy come with the vocabulary."""
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_the_front_door_is_where_the_readme_says() -> None:
    """`from router_memory import MemoryPlugin, Scope, SyncMemory`."""
    import router_memory

    assert {router_memory.MemoryPlugin.__name__, router_memory.SyncMemory.__name__} == {"MemoryPlugin", "SyncMemory"}
    with pytest.raises(AttributeError):
        router_memory.nothing_of_the_kind  # noqa: B018 - the access is the test
