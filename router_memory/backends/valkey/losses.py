"""Vectors that an index has lost: Search 1.2.1 does that to a FLAT index which it has read back from a file."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from router_memory.backends.valkey.facts import NOBODY, pairs_of, text_of
from router_memory.backends.valkey.query import LONGEST_TIMEOUT_MS, Options, counted
from router_memory.backends.valkey.translate import IndexMissing

if TYPE_CHECKING:
    from router_memory.backends.valkey.connection import Connection

__all__ = ["lost_vectors"]

_OPERATION = "examine"
_LOOKS = 25
_LOOK_SECONDS = 0.1
"""Between two looks at an index that seems to have lost vectors; writes may be under way."""


async def lost_vectors(connection: Connection, index_name: str) -> int:
    """How many keys of an index, on all primaries, have no vector in it.

    What is being written at the moment is among them at times. It counts when it stays while nothing changes, or
    through many looks.

    Args:
        connection: Opened.
        index_name: Of the index.

    Raises:
        BackendError: A primary cannot be asked.
    """
    nodes = await connection.command(_OPERATION, "INFO", "server", everywhere=True)
    before: list[tuple[int, int]] = []
    least = 0
    for look in range(_LOOKS):
        held = [await _held_by(connection, index_name, text_of(node)) for node in nodes]
        lost = sum(keys - vectors for keys, vectors in held)
        least = min(least, lost) if look else lost
        if lost == 0 or held == before:
            return lost
        before = held
        await asyncio.sleep(_LOOK_SECONDS)
    return least


async def _held_by(connection: Connection, index_name: str, node: str) -> tuple[int, int]:
    """Keys and vectors of one node's index; Search indexes what a script wrote when it is asked for something."""
    options = Options(timeout_ms=min(int(connection.timeout * 1000), LONGEST_TIMEOUT_MS))
    asked = counted(index_name, NOBODY, replace(options, local=connection.cluster))
    try:
        await connection.command(_OPERATION, *asked, node=node)
        info = pairs_of(await connection.command(_OPERATION, "FT.INFO", index_name, node=node))
    except IndexMissing:
        return 0, 0
    indexes = (pairs_of(field["index"]) for field in map(pairs_of, info["attributes"]) if "index" in field)
    return int(info["num_docs"]), sum(int(index["size"]) for index in indexes)
