"""Fills a server past the store, with the very keys the store writes: its scripts would take too long for a million."""

from __future__ import annotations

import secrets
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from bench.valkey.server import PREFIX
from bench.valkey.settings import DIMENSION, FINGERPRINT
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.records import (
    encode_origin,
    encode_state,
    encode_text,
    encode_vectors,
    place_of,
    stem_tags,
)
from router_memory.backends.valkey.schema import Layout
from router_memory.types import MemoryWrite, Scope
from tests.servers.process import Server

__all__ = ["RawLoader", "dump", "fields_of"]

_WINDOW = 2_000
"""Commands on their way at once."""


class RawLoader:
    """One connection on which commands are sent without waiting for each reply.

    Args:
        server: Where to.
    """

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(server.address, timeout=120)
        self._replies = self._socket.makefile("rb")
        self._open = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._replies.close()
        self._socket.close()

    def load(self, scope: Scope, writes: Sequence[MemoryWrite]) -> None:
        """Stores all of a user's memories; none may be there yet. They are there after `wait`."""
        keys = Keys.of(PREFIX, scope)
        members: list[str | bytes] = []
        for write in writes:
            record = write.record
            members += ["0", f"{place_of(record)}{record.id}\0{record.type.value[0]}{scope.project_digest or ''}"]
        commands: list[Sequence[str | bytes]] = [
            ("HSET", keys.record(write.record.id), *fields_of(keys, write)) for write in writes
        ]
        commands += [("ZADD", keys.order, *members), ("HSET", keys.meta, *_statistics(scope, writes))]
        self._send(commands)

    def wait(self, left: int = 0) -> None:
        """Reads replies until only so many are awaited.

        Raises:
            RuntimeError: The server refused something.
        """
        while self._open > left:
            reply = self._replies.readline()
            if not reply.startswith(b":"):
                raise RuntimeError(f"the server said {reply!r}")
            self._open -= 1

    def _send(self, commands: Sequence[Sequence[str | bytes]]) -> None:
        for start in range(0, len(commands), _WINDOW):
            part = commands[start : start + _WINDOW]
            self._socket.sendall(b"".join(map(_encoded, part)))
            self._open += len(part)
            self.wait(_WINDOW)


def fields_of(keys: Keys, write: MemoryWrite) -> tuple[str | bytes, ...]:
    """Fields and values of the hash of a memory with one vector and no project, as the store leaves them."""
    record, document = write.record, write.document
    memory = encode_origin(record) + b"\0" + encode_text(record.content, document, len(write.vectors))
    searched = ("user", keys.user, "type", record.type.value, "stems", stem_tags(keys, document))
    return (*searched, "state", encode_state(record), "memory", memory, "embedding", encode_vectors(write.vectors))


def _statistics(scope: Scope, writes: Sequence[MemoryWrite]) -> list[str]:
    counts: Counter[str] = Counter()
    for write in writes:
        counts["documents"] += 1
        counts["length"] += write.document.length
        counts["vectors"] += len(write.vectors)
        counts[f"n:{write.record.type.value}"] += 1
        counts.update(f"df:{stem}" for stem in write.document.stems)
    pairs = [part for name, count in counts.items() for part in (name, str(count))]
    token = Layout(DIMENSION, FINGERPRINT).token
    return ["epoch", secrets.token_hex(16), "user", scope.user_id, "layout", token, *pairs]


def _encoded(command: Sequence[str | bytes]) -> bytes:
    parts = [part if isinstance(part, bytes) else part.encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def dump(server: Server, scope: Scope, writes: Iterable[MemoryWrite]) -> dict[str, Any]:
    """Everything a server holds of a user, apart from the epoch, which is random."""
    keys = Keys.of(PREFIX, scope)
    found: dict[str, Any] = {keys.order: server.ask("ZRANGE", keys.order, "0", "-1", "WITHSCORES")}
    for name in (keys.meta, *(keys.record(write.record.id) for write in writes)):
        reply = server.ask("HGETALL", name)
        assert isinstance(reply, list)
        found[name] = {field: value for field, value in zip(reply[::2], reply[1::2], strict=True) if field != b"epoch"}
    return found
