"""Bytes of the server's memory that one memory takes."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.claims import Claim
from bench.valkey.data import CHARACTERS, Corpus
from bench.valkey.searches import fill
from bench.valkey.server import PREFIX, bare_client, info, own_server, store_on
from bench.valkey.settings import DIMENSION, Settings
from router_memory.backends.valkey.keys import Keys
from tests.servers.process import Server

__all__ = ["measure"]

_GUIDE_KB = 5.4
"""What the reference's guide says a memory takes."""

_ASKED = 200
_SETTLE_SECONDS = 0.5
_STILL_BYTES = 50_000


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Differences of used_memory: all of it, without the index, without order and statistics."""
    corpus = Corpus(settings.seed)
    document: dict[str, Any] = {"dimension": DIMENSION, "characters": CHARACTERS, "guide_kb": _GUIDE_KB}
    claims = []
    for size in settings.memory_sizes:
        one = await _at(size, corpus, settings)
        document[str(size)] = one
        claims.append(Claim(f"KB per memory at {size:,} (the reference's guide: {_GUIDE_KB})", one["total"] / 1000))
    return document, claims


async def _at(size: int, corpus: Corpus, settings: Settings) -> dict[str, Any]:
    users = size // settings.memories_per_user
    with own_server() as server:
        async with store_on(server), bare_client(server) as bare:
            empty, resident = _used(server), _resident(server)
            fill(server, corpus, settings, 0, users)
            full, grown = await _settled(server), _resident(server)
            usage = _usage(server, corpus, settings, users)
            await bare.command("FT.DROPINDEX", "mem_idx")
            unindexed = await _settled(server)
            await bare.at_once([("UNLINK", Keys.of(PREFIX, corpus.scope(user)).order) for user in range(users)])
            unordered = await _settled(server)
            await bare.at_once([("UNLINK", Keys.of(PREFIX, corpus.scope(user)).meta) for user in range(users)])
            bare_hashes = await _settled(server)
    per = {
        "total": full - empty,
        "index": full - unindexed,
        "order": unindexed - unordered,
        "statistics": unordered - bare_hashes,
        "hash": bare_hashes - empty,
        "resident": grown - resident,
    }
    return {name: round(value / size) for name, value in per.items()} | {"memory_usage": usage}


async def _settled(server: Server) -> int:
    """used_memory once the server has freed, in the background, what there was to free."""
    last, used = -1, _used(server)
    while abs(used - last) > _STILL_BYTES:
        await asyncio.sleep(_SETTLE_SECONDS)
        last, used = used, _used(server)
    return used


def _used(server: Server) -> int:
    return int(info(server, "memory")["used_memory"])


def _resident(server: Server) -> int:
    return int(info(server, "memory")["used_memory_rss"])


def _usage(server: Server, corpus: Corpus, settings: Settings, users: int) -> dict[str, float]:
    """What MEMORY USAGE says of each kind of key, by memory."""
    sums = {"hash": 0, "order": 0, "statistics": 0}
    for user in range(min(users, _ASKED)):
        keys = Keys.of(PREFIX, corpus.scope(user))
        first = corpus.writes(user, 1)[0].record.id
        for name, key in (("hash", keys.record(first)), ("order", keys.order), ("statistics", keys.meta)):
            reply = server.ask("MEMORY", "USAGE", key, "SAMPLES", "0")
            sums[name] += reply if isinstance(reply, int) else 0
    asked = min(users, _ASKED)
    return {
        name: round(value / asked / (1 if name == "hash" else settings.memories_per_user))
        for name, value in sums.items()
    }
