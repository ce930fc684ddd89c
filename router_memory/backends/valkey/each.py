"""One command for each of many keys, wherever in a cluster they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from router_memory.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router_memory.backends.valkey.client import Argument
    from router_memory.backends.valkey.connection import Connection

__all__ = ["AT_ONCE", "of_each", "without_errors"]

AT_ONCE = 64
"""Keys of a cluster, each in a slot of its own, that are asked about at the same time."""


async def of_each(
    connection: Connection, operation: str, keys: Sequence[bytes], command: Callable[[bytes], Sequence[Argument]]
) -> list[Any]:
    """The replies, in the order of the keys: of one round trip to a server, of many at a time to a cluster.

    Args:
        connection: The server.
        operation: What is being done, for errors.
        keys: Any number.
        command: What to ask about a key.

    Raises:
        BackendError: One of the calls failed.
    """
    if not connection.cluster:
        return without_errors(await connection.pipeline(operation, [command(key) for key in keys], key=""))
    replies: list[Any] = []
    for start in range(0, len(keys), AT_ONCE):
        group = keys[start : start + AT_ONCE]
        asked = (connection.command(operation, *command(key), key=key.decode()) for key in group)
        replies += await asyncio.gather(*asked)
    return replies


def without_errors(replies: list[Any]) -> list[Any]:
    """The replies as they are.

    Raises:
        BackendError: One of them.
    """
    for reply in replies:
        if isinstance(reply, BackendError):
            raise reply
    return replies
