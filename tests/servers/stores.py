"""Valkey stores for tests: each with a prefix and an index of its own, removed afterwards."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey import Connection, ValkeyStore
from router_memory.backends.valkey.translate import IndexMissing
from router_memory.errors import BackendUnavailable
from tests.contract.samples import DIMENSION, FINGERPRINT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["PATIENCE", "TIMEOUT", "clear", "fresh_names", "store_on"]

PATIENCE = 30.0
"""Seconds after which a test gives up; none takes that long where things go well."""

TIMEOUT = 20.0
"""Seconds that calls may take where that is not what is tested: on a busy machine some take longer than by default."""

_POLL_SECONDS = 0.02


def fresh_names() -> dict[str, str]:
    """A prefix and an index name that nobody uses."""
    token = secrets.token_hex(6)
    return {"prefix": f"t{token}:", "index_name": f"i{token}"}


@asynccontextmanager
async def store_on(
    addresses: Sequence[tuple[str, int]],
    *,
    cluster: bool = False,
    connection: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[ValkeyStore]:
    """An open store that is emptied and closed in the end.

    Args:
        addresses: Of the server or of nodes of the cluster.
        cluster: Whether it is one.
        connection: Arguments of the connection.
        options: Arguments of the store.
    """
    values: dict[str, Any] = {**fresh_names(), "dimension": DIMENSION, "fingerprint": FINGERPRINT, **options}
    store = ValkeyStore(
        Connection(addresses=list(addresses), cluster=cluster, **{"timeout": TIMEOUT, **(connection or {})}),
        **values,
    )
    await store.open()
    try:
        yield store
    finally:
        await store.close()
        await clear(addresses, values["prefix"], values["index_name"], cluster=cluster)


async def clear(addresses: Sequence[tuple[str, int]], prefix: str, index_name: str, *, cluster: bool) -> None:
    """Drops the indexes and deletes the keys of one test."""
    connection = Connection(addresses=list(addresses), cluster=cluster, timeout=TIMEOUT)
    await connection.open()
    try:
        async with asyncio.timeout(PATIENCE):
            while names := await _indexes(connection, index_name):
                for name in names:
                    # Nodes of a cluster take a moment to agree on what there is, and on a busy machine more than one.
                    with suppress(IndexMissing, BackendUnavailable):
                        await connection.command("clear", "FT.DROPINDEX", name, key=name)
                await asyncio.sleep(_POLL_SECONDS)
        async for keys in connection.scan("clear", f"{prefix}*"):
            for key in keys:
                await connection.command("clear", "UNLINK", key, key=key.decode())
    finally:
        await connection.close()


async def _indexes(connection: Connection, index_name: str) -> list[str]:
    """Those of one test."""
    names = [name.decode() for name in await connection.command("clear", "FT._LIST")]
    return [name for name in names if name == index_name or name.startswith(f"{index_name}{{")]
