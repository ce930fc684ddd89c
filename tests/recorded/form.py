"""Replies as JSON, and a connection that gives recorded ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.translate import translated
from router_memory.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FILE", "Replayed", "decode", "encode", "load", "plain"]

FILE = Path(__file__).with_name("replies.json")


def encode(value: Any) -> Any:
    """A reply as JSON has it."""
    if isinstance(value, bytes):
        try:
            return {"t": value.decode("ascii")}
        except UnicodeDecodeError:
            return {"b": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"m": [[encode(name), encode(item)] for name, item in value.items()]}
    if isinstance(value, (list, tuple, set)):
        return [encode(item) for item in value]
    if isinstance(value, Exception):
        return {"e": [type(value).__name__, str(value)]}
    return value


def decode(value: Any) -> Any:
    """The reply again; an error comes back as one of glide's."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "t":
        return str(held).encode()
    if kind == "b":
        return base64.b64decode(held)
    if kind == "m":
        return {decode(name): decode(item) for name, item in held}
    return _error(*held)


def _error(name: str, text: str) -> Exception:
    import glide

    made: Exception = getattr(glide, name)(text)
    return made


def load() -> dict[str, Any]:
    """Everything recorded."""
    held: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return held


def plain(method: str, args: Sequence[Any]) -> list[Any]:
    """A call as it is compared: without the time a search is given, which a clock decides."""
    flat = [encode(list(arg) if isinstance(arg, tuple) else arg) for arg in args]

    def untimed(command: Any) -> Any:
        if isinstance(command, list):
            at = command.index("TIMEOUT") + 1 if "TIMEOUT" in command else 0
            return [untimed(part) if not at or place != at else "?" for place, part in enumerate(command)]
        return command

    return [method, [untimed(part) for part in flat]]


class Replayed:
    """Stands for a `Connection`: every call must be the one recorded next, and gets the reply recorded with it.

    Args:
        calls: As recorded: what was called, and the reply.
        cluster: Whether it was a cluster.
    """

    timeout = 10.0
    location = "recorded:6379/0"
    database = 0
    addresses = (("recorded", 6379),)

    def __init__(self, calls: list[Any], *, cluster: bool = False) -> None:
        self.cluster = cluster
        self._left = list(calls)

    @property
    def left(self) -> int:
        """How many recorded calls were not made."""
        return len(self._left)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def command(
        self,
        operation: str,
        *args: Any,
        key: str | None = None,
        everywhere: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - as the connection has it
    ) -> Any:
        """See `Connection.command`."""
        return self._next(operation, plain("command", [list(args), key, everywhere]))

    async def run(self, operation: str, script: str, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        """See `Connection.run`."""
        return self._next(operation, plain("run", [list(keys), list(args)]))

    async def run_all(
        self, operation: str, script: str, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]], *, key: str
    ) -> list[Any]:
        """See `Connection.run_all`."""
        replies = self._next(operation, plain("run_all", [[[list(keys), list(args)] for keys, args in calls], key]))
        return [self._told(operation, reply) for reply in replies]

    async def pipeline(
        self,
        operation: str,
        commands: Sequence[Sequence[Any]],
        *,
        key: str,
        search: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - as the connection has it
    ) -> list[Any]:
        """See `Connection.pipeline`."""
        replies = self._next(operation, plain("pipeline", [[list(command) for command in commands], key, search]))
        return [self._told(operation, reply) for reply in replies]

    def _next(self, operation: str, call: list[Any]) -> Any:
        assert self._left, f"{call} was not recorded"
        expected, reply = self._left.pop(0)
        assert call == expected
        result = self._told(operation, decode(reply))
        if isinstance(result, BackendError):
            raise result
        return result

    def _told(self, operation: str, reply: Any) -> Any:
        return translated(reply, operation, self.location) if isinstance(reply, Exception) else reply
