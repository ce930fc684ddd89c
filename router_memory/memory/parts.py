"""What every part of the front door stands on."""

from __future__ import annotations

from router_memory.errors import BackendUnavailable
from router_memory.wiring import Assembly

__all__ = ["Parts"]


class Parts:
    """Holds an assembly and refuses to work with one that is not open."""

    def __init__(self, assembly: Assembly) -> None:
        self._parts = assembly

    def _ready(self, operation: str) -> Assembly:
        if not self._parts.opened:
            raise BackendUnavailable(
                "not open",
                backend="memory",
                operation=operation,
                hint="use it inside `async with MemoryPlugin.open(...)`",
            )
        return self._parts
