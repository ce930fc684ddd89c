"""Writes of ready vectors with their statistics, beside single HSETs of the same bytes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import count
from typing import Any

from bench.claims import Claim, at_least, at_most
from bench.valkey.data import Corpus
from bench.valkey.loading import fields_of
from bench.valkey.server import PREFIX, Bare, bare_client, info, own_server, store_on
from bench.valkey.settings import Settings
from bench.valkey.timing import Seconds, Work, figures, in_turn, ratio
from router_memory.backends.valkey import ValkeyStore
from router_memory.backends.valkey.keys import Keys
from router_memory.types import MemoryWrite, Scope
from tests.servers.process import Server

__all__ = ["measure"]

_BATCH_RATIO = 1.5
_SINGLE_RATIO = 0.6
_SCRIPT_MS = 0.2
_WARMUP = 2

Batch = tuple[Scope, list[MemoryWrite]]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Batches and single writes in turn with HSETs; then what each does to another client's PING."""
    fresh = _Fresh(Corpus(settings.seed))
    document: dict[str, Any] = {}
    claims: list[Claim] = []
    with own_server() as server:
        async with store_on(server) as store, bare_client(server) as bare:
            for size in settings.batches:
                rounds = max(5, settings.ingest_rounds * 100 // size)
                timed, script = await _batches(server, store, bare, fresh, size, rounds)
                value = _faster(timed["hset_one_by_one"], timed["store"])
                document[f"batches_of_{size}"] = _per_memory(timed, size) | {"ratio": value, "script": script}
                claims.append(at_least(f"ingest in batches of {size:,} / single HSETs", value, _BATCH_RATIO))
                claims.append(
                    at_most(f"ms of the server per memory, batches of {size:,}", script["ms_per_memory"], _SCRIPT_MS)
                )
            timed, script = await _singles(server, store, bare, fresh, settings)
            value = _faster(timed["hset_one_by_one"], timed["store"])
            document["singles"] = _per_memory(timed, settings.singles) | {"ratio": value, "script": script}
            claims.append(at_least("ingest one by one / single HSETs", value, _SINGLE_RATIO))
            claims.append(at_most("ms of the server per memory, one by one", script["ms_per_memory"], _SCRIPT_MS))
            document["ping_ms"] = await _pings(server, store, bare, fresh, settings)
            claims += [
                Claim(f"worst PING while {name} (ms)", one["worst"]) for name, one in document["ping_ms"].items()
            ]
    return document, claims


class _Fresh:
    """Hands out memories of users nobody had before."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._users = count(10**6)

    def batch(self, size: int) -> Batch:
        """A new user's."""
        user = next(self._users)
        return self._corpus.scope(user), self._corpus.writes(user, size)

    def hsets(self, size: int) -> list[tuple[str | bytes, ...]]:
        """The HSETs of a new user's memories."""
        scope, writes = self.batch(size)
        keys = Keys.of(PREFIX, scope)
        return [("HSET", keys.record(write.record.id), *fields_of(keys, write)) for write in writes]


async def _batches(
    server: Server, store: ValkeyStore, bare: Bare, fresh: _Fresh, size: int, rounds: int
) -> tuple[dict[str, Seconds], dict[str, float]]:
    total = rounds + _WARMUP
    batches = [fresh.batch(size) for _ in range(total)]
    hsets = [fresh.hsets(size) for _ in range(total)]
    piped = [fresh.hsets(size) for _ in range(total)]

    async def by_store(number: int) -> None:
        scope, writes = batches[number + _WARMUP]
        await store.add(scope, writes)

    async def one_by_one(number: int) -> None:
        await bare.one_by_one(hsets[number + _WARMUP])

    async def pipelined(number: int) -> None:
        await bare.at_once(piped[number + _WARMUP])

    works: dict[str, Work] = {"store": by_store, "hset_one_by_one": one_by_one, "hset_pipeline": pipelined}
    return await _with_script(server, works, rounds, size)


async def _singles(
    server: Server, store: ValkeyStore, bare: Bare, fresh: _Fresh, settings: Settings
) -> tuple[dict[str, Seconds], dict[str, float]]:
    size, rounds = settings.singles, settings.ingest_rounds
    batches = [fresh.batch(size) for _ in range(rounds + _WARMUP)]
    hsets = [fresh.hsets(size) for _ in range(rounds + _WARMUP)]

    async def by_store(number: int) -> None:
        scope, writes = batches[number + _WARMUP]
        for write in writes:
            await store.add(scope, (write,))

    async def one_by_one(number: int) -> None:
        await bare.one_by_one(hsets[number + _WARMUP])

    works: dict[str, Work] = {"store": by_store, "hset_one_by_one": one_by_one}
    return await _with_script(server, works, rounds, size)


async def _with_script(
    server: Server, works: dict[str, Work], rounds: int, size: int
) -> tuple[dict[str, Seconds], dict[str, float]]:
    """Times the works, and asks the server how long the store's scripts ran."""
    server.ask("CONFIG", "RESETSTAT")
    server.ask("SLOWLOG", "RESET")
    timed = await in_turn(works, rounds, warmup=_WARMUP)
    stats = info(server, "commandstats")
    calls, usec = 0, 0
    for name in ("cmdstat_evalsha", "cmdstat_eval"):
        pairs = dict(part.split("=") for part in stats.get(name, "calls=0,usec=0").split(","))
        calls, usec = calls + int(pairs["calls"]), usec + int(pairs["usec"])
    hset = dict(part.split("=") for part in stats["cmdstat_hset"].split(","))
    slow = server.ask("SLOWLOG", "GET", "-1")
    slowest = _durations(slow)
    memories = size * (rounds + _WARMUP)
    return timed, {
        "calls": calls,
        "memories_per_call": round(memories / calls, 2),
        "ms_per_call": round(usec / calls / 1e3, 4),
        "ms_per_memory": round(usec / memories / 1e3, 4),
        "hset_ms_per_call_with_those_in_scripts": round(float(hset["usec_per_call"]) / 1e3, 4),
        "commands_above_1_ms": len(slowest),
        "slowest_command_ms": max(slowest, default=1.0),
    }


def _per_memory(timed: dict[str, Seconds], size: int) -> dict[str, Any]:
    return {
        name: figures(seconds / size) | {"per_second": round(size / figures(seconds)["p50_ms"] * 1e3)}
        for name, seconds in timed.items()
    }


def _faster(floor: Seconds, store: Seconds) -> float:
    return ratio(floor, store)


# -- what writes do to others


async def _pings(
    server: Server, store: ValkeyStore, bare: Bare, fresh: _Fresh, settings: Settings
) -> dict[str, dict[str, float]]:
    """Milliseconds a PING takes, from another process, while nothing and while each kind of write goes on."""
    seconds = settings.ping_seconds
    found = {"idle": await _pinged(server, seconds, None)}
    hsets = [fresh.hsets(1_000) for _ in range(settings.ping_memories // 1_500)]  # singles are slower than batches

    async def bare_writes(number: int) -> None:
        await bare.one_by_one(hsets[number % len(hsets)])

    found["single HSETs"] = await _pinged(server, seconds, bare_writes)
    for size in settings.batches:
        batches = [fresh.batch(size) for _ in range(settings.ping_memories // size)]
        found[f"batches of {size:,}"] = await _pinged(server, seconds, _adding(store, batches))
    return found


def _adding(store: ValkeyStore, batches: Sequence[Batch]) -> Callable[[int], Awaitable[None]]:
    left: Iterator[Batch] = iter(batches)

    async def add(number: int) -> None:  # each batch is written once
        one = next(left, None)
        if one is None:
            await asyncio.sleep(0.01)
        else:
            await store.add(*one)

    return add


async def _pinged(server: Server, seconds: float, work: Callable[[int], Awaitable[None]] | None) -> dict[str, float]:
    pinger = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.valkey.pinger", str(server.port), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    output = asyncio.create_task(pinger.communicate())
    await asyncio.sleep(0.3)
    for number in count():
        if output.done():
            break
        await (asyncio.sleep(0.05) if work is None else work(number))
    text, _ = await output
    found: dict[str, float] = json.loads(text)
    return found


def _durations(slowlog: object) -> list[float]:
    """Milliseconds each command of a slow log took."""
    entries = slowlog if isinstance(slowlog, list) else []
    return [entry[2] / 1e3 for entry in entries]
