"""Totals over all users, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.translate import BACKEND
from router_memory.errors import BackendError
from router_memory.types import StoreStats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.index import MainIndex
    from router_memory.backends.valkey.promotion import Promotions

__all__ = ["server_facts", "totals"]

_OPERATION = "stats"


async def totals(connection: Connection, index: MainIndex, promotions: Promotions) -> StoreStats:
    """Counts users and memories by walking over the users' statistics."""
    users, memories, vectors = 0, 0, 0
    async for keys in connection.scan(_OPERATION, f"{index.prefix}meta:{{*}}"):
        for documents, count in await _sizes(connection, keys):
            if documents is not None:
                users, memories, vectors = users + 1, memories + int(documents), vectors + int(count or 0)
    info = await index.summary(_OPERATION)
    facts = await server_facts(connection, _OPERATION)
    layout = index.layout
    return StoreStats(
        backend=BACKEND,
        location=connection.location,
        memories=memories,
        users=users,
        bytes=sum(int(node.get("used_memory", 0)) for node in facts.values()),
        fingerprint=layout.fingerprint if layout else "",
        dimension=layout.dimension if layout else 0,
        details={
            "vectors": vectors,
            "index": index.name,
            "index_ready": info is not None and info.ready,
            "indexed": info.documents if info else 0,
            "index_failures": info.failures if info else 0,
            "promoted_users": len(await promotions.names(_OPERATION)),
            "nodes": len(facts),
        },
    )


async def _sizes(connection: Connection, keys: list[bytes]) -> list[Any]:
    """Documents and vectors of each of the users."""
    sizes = []
    for by_slot in _by_slot(keys) if connection.cluster else [keys]:
        commands = [("HMGET", key, "documents", "vectors") for key in by_slot]
        for reply in await connection.pipeline(_OPERATION, commands, key=by_slot[0].decode()):
            if isinstance(reply, BackendError):
                raise reply
            sizes.append(reply)
    return sizes


def _by_slot(keys: list[bytes]) -> list[list[bytes]]:
    return [[key] for key in keys]


async def server_facts(connection: Connection, operation: str) -> Mapping[str, Mapping[str, str]]:
    """What INFO says, by node."""
    replies = await connection.command(operation, "INFO", "everything", everywhere=True)
    return {_text(node): _parsed(_text(reply)) for node, reply in replies.items()}


def _parsed(info: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
