"""The client's side of a request: its body, its values, and whether it is still there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from router_memory.interfaces.http.proxy.headers import Headers

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["UNCLEAR", "Departure", "last_value", "only_value", "read_body"]

UNCLEAR = "\ud800"
"""In place of an id that a request gives twice or not in UTF-8: no id is like that, so memory says it is invalid."""

_PATIENCE_SECONDS = 0.05
"""How long a request may take before somebody looks whether its client is still there."""


async def read_body(receive: Receive) -> bytes | None:
    """The request's body; ``None`` if the client left before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        if not message.get("more_body", False):
            return b"".join([*parts, part]) if parts else part
        parts.append(part)


def only_value(headers: Headers, name: bytes) -> str | None:
    """What a header that names something holds; `UNCLEAR` where nobody can say, ``None`` without one."""
    values = {value.strip(b" \t") for found, value in headers if found == name} - {b""}
    if not values:
        return None
    try:
        (value,) = values
        return value.decode()
    except ValueError:  # several, or not UTF-8
        return UNCLEAR


def last_value(headers: Headers, name: bytes) -> str | None:
    """The last value, which a gateway put behind whatever the client sent; ``None`` without one."""
    value = next((value for found, value in reversed(headers) if found == name), b"").strip(b" \t")
    return value.decode("utf-8", "replace") or None


class Departure:
    """Cancels the task that serves a client once the client has gone.

    Most requests are over before this does anything, so that they need no task beside their own.

    Attributes:
        noticed: Whether the client has gone.
    """

    __slots__ = ("_receive", "_served", "_stopped", "_timer", "_watching", "noticed")

    def __init__(self, receive: Receive) -> None:
        self.noticed = False
        self._receive = receive
        self._served: asyncio.Task[object] | None = None
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Looks from now on, for the running task; the request's body has been read."""
        self._served = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._begin)

    def stop(self) -> None:
        """Looks no longer."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _begin(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._served is not None and not self._stopped:
            self.noticed = True
            self._served.cancel()
