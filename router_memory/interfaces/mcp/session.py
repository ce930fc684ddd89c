"""Who a tool works for, and with what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router_memory.types import Scope

if TYPE_CHECKING:
    from router_memory.memory import MemoryPlugin
    from router_memory.telemetry import Telemetry

__all__ = ["Session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One user's access. Handlers are made for a session, so nothing they are asked can widen it.

    Attributes:
        scope: Whose memories.
        memory: Gives the memory once it is open; raises `RouterMemoryError` where it cannot be opened.
        telemetry: Where calls are reported to; ``None`` for nowhere.
        local: Whether the user runs the server: then errors say where the store is and what is wrong with it.
    """

    scope: Scope
    memory: Callable[[], Awaitable[MemoryPlugin]]
    telemetry: Telemetry | None = None
    local: bool = False
