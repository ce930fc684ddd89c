"""Memory for LLM routers and gateways.

    from router_memory import MemoryPlugin, Scope

Importing this package loads nothing heavy: the model, the store and the configuration come with
`MemoryPlugin.open`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router_memory import errors
from router_memory.types import MemoryRecord, MemoryType, Outcome, Reason, Scope, Status, WriteStatus

if TYPE_CHECKING:
    from router_memory.memory import MemoryPlugin
    from router_memory.sync import SyncMemory

__all__ = [
    "MemoryPlugin",
    "MemoryRecord",
    "MemoryType",
    "Outcome",
    "Reason",
    "Scope",
    "Status",
    "SyncMemory",
    "WriteStatus",
    "__version__",
    "errors",
]

__version__ = "0.1.0"

_LAZY = {"MemoryPlugin": "router_memory.memory", "SyncMemory": "router_memory.sync"}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
