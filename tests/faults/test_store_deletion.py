"""Deletion and counting under load: what is gone stays gone, and every counter equals a recount."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendUnavailable
from router_memory.types import MemoryChange, MemoryType, Scope
from tests.contract.samples import START, change, ids, memories, memory, query
from tests.faults.stores import eventually, faults_of, opened
from tests.servers.census import census
from tests.servers.stores import fresh_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.backends.valkey import ValkeyStore
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Endpoint, Server

ALICE, BOB = Scope("alice"), Scope("bob")
HOME, WORK = Scope("alice", "home"), Scope("alice", "work")
_NEVER = 10**9
"""For `promote_at`: making a graph of the user that is about to be forgotten would take most of the time."""


async def _fill(target: ValkeyStore, scope: Scope, count: int) -> None:
    for first in range(0, count, 5_000):
        await target.add(scope, memories(scope, min(5_000, count - first), first))


# -- a whole user


@pytest.mark.parametrize(
    "count", [3_000, pytest.param(100_000, marks=pytest.mark.full)], ids=lambda count: f"{count} memories"
)
async def test_forgetting_a_user_goes_on_after_the_server_was_killed(own_server: OwnServer, count: int) -> None:
    """Killed in the middle and repeated: nothing is left, the statistics are zero, other users keep theirs."""
    server = own_server(search=True, config={"appendonly": "yes", "appendfsync": "everysec"})
    async with opened([server.address], timeout=60.0, promote_at=_NEVER) as target:
        await _fill(target, ALICE, count)
        await target.add(BOB, memories(BOB, 5))
    async with opened([server.address], timeout=5.0, promote_at=_NEVER) as target:
        task = asyncio.create_task(target.forget_scope(ALICE))
        await eventually(lambda: _fewer(target, count))
        server.kill()
        with pytest.raises(BackendUnavailable):
            await task
        server.start()
        assert faults_of(server) == []
        left = census(*server.address, "mem:").memories
        assert 0 < left <= count + 5

        async def forgotten() -> bool:
            await target.forget_scope(ALICE)
            return True

        await eventually(forgotten)
        assert await target.forget_scope(ALICE) == 0
        assert (await target.statistics(ALICE, ["memory"])).documents == 0
        assert await target.count(BOB) == 5
    rest = census(*server.address, "mem:")
    assert (rest.memories, rest.keys) == (5, 7)
    assert rest.faults() == []


async def _fewer(target: ValkeyStore, count: int) -> bool:
    return await target.count(ALICE) < count - 100


async def test_forgetting_a_user_goes_on_after_it_was_cancelled(search_server: Endpoint) -> None:
    """The caller went away; what was begun is whole, and the next call deletes the rest."""
    names = fresh_names()
    async with opened([search_server.address], **names) as target:
        await _fill(target, ALICE, 2_000)
        task = asyncio.create_task(target.forget_scope(ALICE))
        await eventually(lambda: _fewer(target, 2_000))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await target.count(ALICE)
        await target.forget_scope(ALICE)
        assert await target.count(ALICE) == 0
    rest = census(*search_server.address, names["prefix"])
    assert rest.keys == 0


async def test_two_that_forget_the_same_user_count_each_memory_once(search_server: Endpoint) -> None:
    """Their counts add up to what there was."""
    names = fresh_names()
    async with opened([search_server.address], **names) as one, opened([search_server.address], **names) as other:
        await _fill(one, ALICE, 1_000)
        counts = await asyncio.gather(one.forget_scope(ALICE), other.forget_scope(ALICE))
        assert sum(counts) == 1_000
    assert census(*search_server.address, names["prefix"]).keys == 0


@pytest.mark.full
async def test_others_hardly_notice_a_large_deletion(
    own_server: OwnServer, record_property: Callable[[str, object], None]
) -> None:
    """PING of another client while 20,000 memories are forgotten: reported, and bounded generously."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=_NEVER) as target:
        await _fill(target, ALICE, 20_000)
        latencies: list[float] = []
        began = time.monotonic()
        task = asyncio.create_task(target.forget_scope(ALICE))
        while not task.done():
            latencies.append(await asyncio.to_thread(_ping, server))
            await asyncio.sleep(0.002)
        assert await task == 20_000
        latencies.sort()
        record_property("seconds", round(time.monotonic() - began, 2))
        record_property("ping_p50_ms", round(latencies[len(latencies) // 2] * 1e3, 2))
        record_property("ping_p99_ms", round(latencies[len(latencies) * 99 // 100] * 1e3, 2))
        record_property("ping_worst_ms", round(latencies[-1] * 1e3, 2))
        assert latencies[len(latencies) // 2] < 0.25  # no clock to be tight on: a pass in one piece would take longer
    assert census(*server.address, "mem:").keys == 0


def _ping(server: Server) -> float:
    began = time.monotonic()
    server.ask("PING")
    return time.monotonic() - began


# -- ghosts


async def test_touching_what_is_gone_leaves_no_key(search_server: Endpoint) -> None:
    """Reference defect 9: a late access brings nothing back, neither record nor statistics nor order."""
    names = fresh_names()
    async with opened([search_server.address], **names) as target:
        writes = [memory(HOME, seed, rows=2) for seed in range(10)]
        await target.add(HOME, writes)
        touches = [target.touch(ALICE, ids(writes), START) for _ in range(20)]
        await asyncio.gather(*touches[:10], target.forget(HOME, ids(writes)), *touches[10:])
        await target.touch(HOME, ids(writes), START)
        await target.touch(WORK, ids(writes), START)
        await target.update(ALICE, ids(writes)[0], MemoryChange(at=START, importance=0.1))
        await target.touch(BOB, ids(writes), START)
    assert census(*search_server.address, names["prefix"]).keys == 0


async def test_an_update_that_loses_the_race_creates_nothing(search_server: Endpoint) -> None:
    """Reference defect 7: of an update and a deletion at once either order is right, and nothing else."""
    names = fresh_names()
    async with opened([search_server.address], **names) as target:
        for seed in range(40):
            write, new = memory(ALICE, seed, rows=3), memory(ALICE, 1_000 + seed, rows=2)
            await target.add(ALICE, [write])
            await asyncio.gather(
                target.update(ALICE, write.record.id, change(new, type=MemoryType.EPISODIC)),
                target.forget(ALICE, ids([write])),
                target.update(ALICE, write.record.id, change(memory(ALICE, 2_000 + seed))),
            )
    assert census(*search_server.address, names["prefix"]).keys == 0


# -- recounts


async def _worker(target: ValkeyStore, seed: int, steps: int) -> None:
    """Random writes of one client; several of them use the same ids."""
    drawn = random.Random(seed)
    for _ in range(steps):
        scope = drawn.choice((ALICE, HOME, WORK, BOB))
        number = drawn.randrange(40)
        stems = {f"s{drawn.randrange(12)}": 1 + drawn.randrange(3) for _ in range(drawn.randrange(4))}
        write = memory(scope, number, stems=stems, rows=1 + drawn.randrange(4), type=drawn.choice(list(MemoryType)))
        kind = drawn.choice((None, *MemoryType))
        match drawn.randrange(7):
            case 0 | 1 | 2:
                some = [write, memory(scope, number + 50, stems=stems, rows=2)]
                await target.add(scope, some)
            case 3:
                await target.update(scope, write.record.id, change(write, type=kind))
            case 4:
                await target.update(scope, write.record.id, MemoryChange(at=START, type=kind, importance=0.5))
            case 5:
                await target.forget(scope, [write.record.id, memory(scope, number + 51).record.id])
            case _:
                await target.touch(scope, [write.record.id], START)
        if drawn.randrange(60) == 0:
            await target.forget_scope(scope)


@pytest.mark.parametrize("steps", [120, pytest.param(4_000, marks=pytest.mark.full)])
async def test_counters_equal_a_recount_after_concurrent_writes(search_server: Endpoint, steps: int) -> None:
    """Every document frequency, tally, length and vector, after six writers in three stores; reference defect 8."""
    names = fresh_names()
    async with (
        opened([search_server.address], **names) as one,
        opened([search_server.address], **names) as two,
        opened([search_server.address], promote_at=20, **names) as three,
    ):
        stores = [one, two, three]
        for round_ in range(3):
            await asyncio.gather(*(_worker(stores[seed % 3], 10 * round_ + seed, steps // 3) for seed in range(6)))
            counted = census(*search_server.address, names["prefix"])
            assert counted.faults() == []
            assert counted.memories > 0
            for scope in (ALICE, BOB):
                pages = await one.list(scope, limit=10_000)
                assert pages.total == len(pages.records) == await two.count(scope)
                result = await three.candidates(query(scope, dense_limit=1_000))
                assert {found.record.id for found in result.candidates} == {record.id for record in pages.records}
        for scope in (ALICE, BOB):
            await one.forget_scope(scope)
    assert census(*search_server.address, names["prefix"]).keys == 0


async def test_counters_equal_a_recount_after_cancelled_writes(search_server: Endpoint) -> None:
    """Callers that go away in the middle of their calls leave whole memories or none; reference defect 8."""
    names = fresh_names()
    drawn = random.Random(7)
    async with opened([search_server.address], **names) as target:
        for round_ in range(30):
            some = [memory(ALICE, 100 * round_ + seed, rows=1 + seed % 3) for seed in range(40)]
            tasks = [
                asyncio.create_task(target.add(ALICE, some)),
                asyncio.create_task(target.forget(ALICE, ids(some[::2]))),
                asyncio.create_task(target.update(ALICE, some[1].record.id, change(memory(ALICE, 5, rows=4)))),
            ]
            await asyncio.sleep(drawn.random() * 0.004)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await eventually(lambda: _quiet(target))
        await target.forget_scope(BOB)
    assert census(*search_server.address, names["prefix"]).faults() == []


async def _quiet(target: ValkeyStore) -> bool:
    """Whether nothing is under way any more."""
    before = (await target.statistics(ALICE, [])).epoch
    await asyncio.sleep(0.05)
    return (await target.statistics(ALICE, [])).epoch == before
