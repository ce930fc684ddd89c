"""Just enough of the protocol to ask a server something without the client library that is under test."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Answer", "ServerSaid", "ask", "ask_many"]

Answer: TypeAlias = "bytes | int | ServerSaid | list[Answer] | None"

_SECONDS = 30.0  # a server on a busy machine; one that is gone is noticed at once
_AT_ONCE = 200


class ServerSaid(Exception):
    """An error reply."""


def ask(
    port: int, *args: str | bytes, host: str = "127.0.0.1", password: str = "", seconds: float = _SECONDS
) -> Answer:
    """The reply to one command on a connection of its own.

    Raises:
        OSError: No connection, or no answer in time.
        ServerSaid: An error reply.
    """
    with socket.create_connection((host, port), timeout=seconds) as connection, connection.makefile("rb") as replies:
        if password:
            connection.sendall(_command("AUTH", password))
            _raise(_read(replies))
        connection.sendall(_command(*args))
        return _raise(_read(replies))


def ask_many(
    port: int, commands: Sequence[Sequence[str | bytes]], *, host: str = "127.0.0.1", seconds: float = _SECONDS
) -> list[Answer]:
    """The replies to commands sent at once; an error reply stands in its place.

    Raises:
        OSError: No connection, or no answer in time.
    """
    with socket.create_connection((host, port), timeout=seconds) as connection, connection.makefile("rb") as replies:
        answers: list[Answer] = []
        for start in range(0, len(commands), _AT_ONCE):
            some = commands[start : start + _AT_ONCE]
            connection.sendall(b"".join(_command(*command) for command in some))
            answers += [_read(replies) for _ in some]
        return answers


def _raise(reply: Answer) -> Answer:
    if isinstance(reply, ServerSaid):
        raise reply
    return reply


def _command(*args: str | bytes) -> bytes:
    parts = [arg if isinstance(arg, bytes) else arg.encode() for arg in args]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _read(replies: BinaryIO) -> Answer:
    line = replies.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionResetError("the server closed the connection")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        return ServerSaid(rest.decode(errors="replace"))
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else replies.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return [_read(replies) for _ in range(int(rest))]
    return rest
