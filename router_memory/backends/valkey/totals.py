"""Totals over all users, for operators."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.damage import number, reading
from router_memory.backends.valkey.each import of_each
from router_memory.backends.valkey.facts import server_facts, text_of, total
from router_memory.backends.valkey.schema import IndexInfo, for_cluster, parse_info
from router_memory.backends.valkey.translate import BACKEND, IndexMissing, NoCoordinator
from router_memory.types import StoreStats

if TYPE_CHECKING:
    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.index import MainIndex
    from router_memory.backends.valkey.promotion import Promotions

__all__ = ["cluster_summary", "totals"]

_OPERATION = "stats"


async def totals(connection: Connection, index: MainIndex, promotions: Promotions) -> StoreStats:
    """Counts users and memories by walking over the users' statistics."""
    users, memories, vectors = 0, 0, 0
    async for keys in connection.scan(_OPERATION, f"{index.prefix}meta:{{*}}"):
        for documents, count in await of_each(connection, _OPERATION, keys, _size_of):
            if documents is not None:
                with reading(_OPERATION, connection.location):
                    users, memories, vectors = users + 1, memories + number(documents), vectors + number(count)
    info = await index.summary(_OPERATION)
    facts = await server_facts(connection, _OPERATION)
    layout = index.layout
    return StoreStats(
        backend=BACKEND,
        location=connection.location,
        memories=memories,
        users=users,
        bytes=total(facts, "used_memory"),
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


async def cluster_summary(connection: Connection, operation: str, info: IndexInfo, *, key: str) -> IndexInfo:
    """What all primaries of a cluster say of an index; without Search's coordinator each is asked by itself.

    Args:
        connection: Of the cluster.
        operation: What is being done, for errors.
        info: What one node said.
        key: Whose node is asked about the others.
    """
    try:
        primaries = await connection.command(operation, "FT.INFO", info.name, "PRIMARY", key=key)
        progress = await connection.command(operation, "FT.INFO", info.name, "CLUSTER", key=key)
    except NoCoordinator:
        return await _one_by_one(connection, operation, info)
    with reading(operation, connection.location):
        return for_cluster(info, primaries, progress)


async def _one_by_one(connection: Connection, operation: str, info: IndexInfo) -> IndexInfo:
    """The same from each primary; one that lacks the index gets it when it is first searched."""
    nodes = await connection.command(operation, "INFO", "server", everywhere=True)  # which glide does not sum up
    replies = [await _info(connection, operation, info.name, text_of(node)) for node in nodes]
    with reading(operation, connection.location):
        found = [parse_info(reply) for reply in replies if reply is not None]
    return replace(
        info,
        documents=sum(node.documents for node in found),
        failures=sum(node.failures for node in found),
        ready=all(node.ready for node in found),
        progress=min((node.progress for node in found), default=info.progress),
    )


async def _info(connection: Connection, operation: str, name: str, node: str) -> Any:
    try:
        return await connection.command(operation, "FT.INFO", name, node=node)
    except IndexMissing:
        return None


def _size_of(key: bytes) -> tuple[str | bytes, ...]:
    """Asks for the documents and the vectors of a user."""
    return ("HMGET", key, "documents", "vectors")
