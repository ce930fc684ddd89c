"""One configuration as it is served, and the count of those who still use it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from router_memory.config import Config
from router_memory.identity import Authenticator
from router_memory.memory import MemoryPlugin

__all__ = ["Generation"]


@dataclass(slots=True, eq=False)
class Generation:
    """A configuration and everything made from it. A reload makes another one beside it.

    Attributes:
        number: Counted from 1 in each process.
        config: The configuration.
        memory: The memory opened with it.
        authenticator: Says who is asking, by its rules.
        loaded_at: When it was opened, aware.
        resources: What interfaces keep for this configuration by a name of their own, and how it is closed; see
            `Service.resource`.
    """

    number: int
    config: Config
    memory: MemoryPlugin
    authenticator: Authenticator
    loaded_at: datetime
    resources: dict[str, tuple[object, Callable[[], Awaitable[None]]]] = field(default_factory=dict)
    _users: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._idle.set()

    @property
    def users(self) -> int:
        """How many leases are out."""
        return self._users

    def take(self) -> None:
        """Counts a user in."""
        self._users += 1
        self._idle.clear()

    def leave(self) -> None:
        """Counts a user out."""
        self._users -= 1
        if not self._users:
            self._idle.set()

    async def idle(self) -> None:
        """Waits until nobody uses it."""
        await self._idle.wait()
