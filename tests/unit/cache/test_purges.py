"""Forgetting in level 2, over a server that does not always do it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from router_memory.cache import Meters
from router_memory.cache import purges as module
from router_memory.errors import BackendTimeout
from router_memory.types import Scope
from tests.doubles import HashingEmbedder
from tests.unit.cache.parts import ALICE, AWAY, BOB, REFUSALS, Clock, filled, shared_cache

if TYPE_CHECKING:
    from router_memory.cache import SharedCache
    from tests.doubles_cache import MemoryHotCache


async def test_a_purge_is_tried_until_it_is_done(
    shared: SharedCache, server: MemoryHotCache, counters: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the background, whether the server was known to be away or not."""
    monkeypatch.setattr(module, "_PURGE_AGAIN_SECONDS", 0.005)
    key = await filled(shared)
    server.failure = AWAY[0]
    for _ in range(5):
        await shared.purge(ALICE)
    await shared.purge(BOB)
    assert [shared.breaker, counters["cache.purge"]] == ["open", 0]
    await asyncio.sleep(0.03)
    assert set(shared._purges._unpurged) == {ALICE.user_digest, BOB.user_digest}
    server.failure = None
    assert shared._purges._purging is not None
    await shared._purges._purging
    assert [shared._purges._unpurged, counters["cache.purge"]] == [{}, 2]
    assert (await server.get(ALICE.user_digest, key, within=1)).value is None


async def test_an_earlier_purge_does_not_stand_for_a_later_one(shared: SharedCache, server: MemoryHotCache) -> None:
    """Its reply was late; what was kept between the two is still there."""
    whole, gate, calls = server.purge, asyncio.Event(), 0

    async def slow_then_away(user: str, *, within: float) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise AWAY[1]
        await whole(user, within=within)
        await gate.wait()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server, "purge", slow_then_away)
        first = asyncio.create_task(shared.purge(ALICE))
        await asyncio.sleep(0)
        key = await filled(shared)
        await shared.purge(ALICE)
        gate.set()
        await first
        assert (await server.get(ALICE.user_digest, key, within=1)).value is not None
        assert set(shared._purges._unpurged) == {ALICE.user_digest}
    await shared.purge(ALICE)
    assert [shared._purges._unpurged, (await server.get(ALICE.user_digest, key, within=1)).value] == [{}, None]


async def test_a_purge_for_an_operator_is_done_or_says_that_it_was_not(
    shared: SharedCache, server: MemoryHotCache, counters: Counter[str]
) -> None:
    """Whatever the breaker thinks; one that waited to be tried again is over with it."""
    key = await filled(shared)
    server.failure = AWAY[1]
    for _ in range(3):
        await shared.purge(ALICE)
    with pytest.raises(BackendTimeout):
        await shared.purge_now(ALICE)
    assert [shared.breaker, set(shared._purges._unpurged), counters["cache.purge"]] == ["open", {ALICE.user_digest}, 0]
    server.failure = None
    await shared.purge_now(ALICE)
    assert [shared._purges._unpurged, counters["cache.purge"]] == [{}, 1]
    looked = await server.get(ALICE.user_digest, key, within=1)
    assert [looked.value, bool(looked.lease)] == [None, True]


async def test_an_operator_waits_longer_than_a_request(
    shared: SharedCache, server: MemoryHotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request has milliseconds, but not for ever."""
    waits: list[float] = []
    whole = server.purge

    async def watched(user: str, *, within: float) -> None:
        waits.append(within)
        await whole(user, within=within)

    monkeypatch.setattr(server, "purge", watched)
    await shared.purge(ALICE)
    await shared.purge_now(ALICE)
    assert waits == [shared.timeout, module.PURGE_NOW_SECONDS]


async def test_a_purge_is_given_up_when_there_is_nothing_left_to_purge(
    shared: SharedCache, server: MemoryHotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries end by themselves."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(module, "_PURGE_AGAIN_SECONDS", 0.005)
    server.failure = AWAY[0]
    await shared.purge(ALICE)
    clock.now += 61
    assert shared._purges._purging is not None
    await asyncio.wait_for(shared._purges._purging, 5)
    assert shared._purges._unpurged == {}


async def test_at_the_end_a_purge_is_tried_once_more(server: MemoryHotCache, caplog: pytest.LogCaptureFixture) -> None:
    """A server that is back by then forgets."""
    shared = shared_cache(server, HashingEmbedder(), Meters(Counter()))
    key = await filled(shared)
    server.failure = AWAY[0]
    await shared.purge(ALICE)
    server.failure = None
    await shared.close()
    assert (await server.get(ALICE.user_digest, key, within=1)).value is None
    assert "could not be taken away" not in caplog.text


async def test_the_last_try_is_bounded_for_all_users_together(
    server: MemoryHotCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes its time with each of very many."""
    monkeypatch.setattr(module, "_BACKGROUND_SECONDS", 0.5)
    shared = shared_cache(server, HashingEmbedder(), Meters(Counter()))
    server.failure = AWAY[0]
    users = [Scope(f"user {number}") for number in range(50)]
    for user in users:
        await shared.purge(user)
    server.failure = None
    whole = server.purge

    async def slow(user: str, *, within: float) -> None:
        await asyncio.sleep(0.15)
        await whole(user, within=within)

    monkeypatch.setattr(server, "purge", slow)
    began = time.perf_counter()
    await shared.close()
    assert time.perf_counter() - began < 2.5
    assert 45 <= len(shared._purges._unpurged) < 50
    assert f"{len(shared._purges._unpurged)} users could not be taken away" in caplog.text


async def test_one_user_who_cannot_be_purged_keeps_no_other(
    server: MemoryHotCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal concerns one key."""
    shared = shared_cache(server, HashingEmbedder(), Meters(Counter()))
    server.failure = AWAY[0]
    await shared.purge(ALICE)
    await shared.purge(BOB)
    server.failure = None
    whole = server.purge

    async def refusing(user: str, *, within: float) -> None:
        if user == ALICE.user_digest:
            raise REFUSALS[0]
        await whole(user, within=within)

    monkeypatch.setattr(server, "purge", refusing)
    await shared.close()
    assert set(shared._purges._unpurged) == {ALICE.user_digest}
    assert "1 users could not be taken away" in caplog.text


async def test_users_to_purge_are_bounded(
    shared: SharedCache, server: MemoryHotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never comes back gathers no heap of them."""
    monkeypatch.setattr(module, "_MOST_UNPURGED", 1)
    server.failure = AWAY[0]
    await shared.purge(ALICE)
    await shared.purge(BOB)
    assert set(shared._purges._unpurged) == {ALICE.user_digest}


async def test_a_user_noted_anew_while_others_are_tried_is_not_given_up(
    shared: SharedCache, server: MemoryHotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note from before is out of date; the one that came meanwhile is about later entries."""
    clock, done = Clock(), []
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(module, "_PURGE_AGAIN_SECONDS", 60.0)
    server.failure = AWAY[0]
    await shared.purge(ALICE)
    await shared.purge(BOB)
    server.failure = None
    whole = server.purge

    async def watched(user: str, *, within: float) -> None:
        if user == ALICE.user_digest:
            clock.now += 61
            server.failure = AWAY[0]
            await shared.purge(BOB)
            server.failure = None
        await whole(user, within=within)
        done.append(user)

    monkeypatch.setattr(server, "purge", watched)
    await shared._purges._purge_pending()
    assert [done, shared._purges._unpurged] == [[ALICE.user_digest, BOB.user_digest], {}]
