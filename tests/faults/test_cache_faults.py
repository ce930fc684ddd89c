"""The cache's server fails, lies or comes back: every request is answered rightly and in time, and nothing lingers."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest

from router_memory import Scope, Status
from router_memory.cache.keys import VERSION
from router_memory.errors import BackendTimeout
from tests.faults.caches import (
    DEADLINE_MS,
    asked,
    caches_of,
    contents,
    fills_ended,
    opened,
    values,
    with_text,
)
from tests.faults.linearizability.delays import Hold, intercepted
from tests.faults.stores import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from router_memory import MemoryPlugin
    from router_memory.wiring import Assembly
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

USERS = ("ana", "ben", "cem")
ASKS = ("Which seat is mine on the train?", "Where is the red lantern now?", "How is the harbour in winter?")
PLACES = ("train", "theatre", "ferry", "office", "kitchen", "garden")
THINGS = ("seat", "red lantern", "harbour ticket")
TASKS = 3
TIMEOUT = 0.05
"""Seconds a look into the cache may take."""
LATE = 0.75
"""Seconds from which on a request is late."""
QUIET = 0.4
RECOVERY = 15.0
"""Seconds by which the cache is used again at the latest."""


async def _stored(plugin: MemoryPlugin) -> None:
    for user in USERS:
        for thing in THINGS:
            for place in PLACES:
                await plugin.add(Scope(user), f"The {thing} of {user} is in the {place}")


async def _expected(path: Path) -> dict[tuple[str, str], str]:
    """What requests get without a cache: the text that is injected."""
    found: dict[tuple[str, str], str] = {}
    async with opened(path, None) as (plugin, _):
        await _stored(plugin)
        for user in USERS:
            for text in ASKS:
                outcome = await _request(plugin, user, text)
                assert outcome.status is Status.USED, outcome.reason
                found[user, text] = _injected(outcome)
    return found


async def _request(plugin: MemoryPlugin, user: str, text: str) -> Any:
    return await plugin.on_request(decision=None, user_id=user, messages=[{"role": "user", "content": text}])


def _injected(outcome: Any) -> str:
    return "\n".join(sorted(memory.record.content for memory in outcome.memories))


@dataclass
class _Load:
    """Requests that go on all the time; each must be answered rightly."""

    plugin: MemoryPlugin
    expected: dict[tuple[str, str], str]
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stopped: bool = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask(random.Random(number))) for number in range(TASKS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopped = True
        await asyncio.gather(*self._tasks)

    async def _ask(self, chance: random.Random) -> None:
        while not self.stopped:
            user, text = chance.choice(sorted(self.expected))
            began = time.perf_counter()
            outcome = await _request(self.plugin, user, text)
            self.seconds.append(time.perf_counter() - began)
            if outcome.status is not Status.USED:
                self.wrong.append(f"{outcome.status} {outcome.reason} {outcome.explain.error}")
            elif _injected(outcome) != self.expected[user, text]:
                self.wrong.append(f"another answer to {user}: {text}")
            await asyncio.sleep(0.002)

    def proved(self) -> None:
        """No request failed, or was late, apart from one in a hundred."""
        assert self.wrong == []
        ordered = sorted(self.seconds)
        assert len(ordered) > 100
        assert ordered[int(0.99 * len(ordered))] < LATE


def _count(parts: Assembly, name: str) -> int:
    return caches_of(parts).stats().counts.get(name, 0)


def _refused(parts: Assembly) -> int:
    """How many values were not taken: for what they are, or for their epoch."""
    return _count(parts, "level 2.unreadable") + _count(parts, "level 2.dead")


async def _hits_rise(parts: Assembly, by: int = 20) -> None:
    before = _count(parts, "level 2.hit")

    async def risen() -> bool:
        return _count(parts, "level 2.hit") >= before + by

    await eventually(risen, RECOVERY)


async def _breaker_is(parts: Assembly, state: str) -> None:
    async def so() -> bool:
        return caches_of(parts).stats().breaker == state

    await eventually(so, RECOVERY)


@pytest.mark.parametrize("fault", ["kill", "stop in its tracks"])
async def test_a_server_that_goes_away_under_load_fails_no_request(
    own_server: OwnServer, tmp_path: Path, fault: str
) -> None:
    """Meanwhile nobody waits for it; and when it is back it is used again."""
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    async with opened(path, server, local_mb=0) as (plugin, parts), _Load(plugin, expected) as load:
        await _hits_rise(parts)
        server.kill() if fault == "kill" else server.pause()
        await _breaker_is(parts, "open")
        first, skipped = len(load.seconds), _count(parts, "level 2.skipped")
        await asyncio.sleep(1.0)
        meanwhile = sorted(load.seconds[first:])
        assert _count(parts, "level 2.skipped") >= skipped + len(meanwhile) // 2
        assert meanwhile[len(meanwhile) // 2] < TIMEOUT
        assert caches_of(parts).stats().breaker == "open"
        server.start() if fault == "kill" else server.resume()
        await _hits_rise(parts)
        assert caches_of(parts).stats().breaker == "closed"
    load.proved()


async def test_a_server_that_is_flushed_or_restarted_under_load_fails_no_request(
    own_server: OwnServer, tmp_path: Path
) -> None:
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    async with opened(path, server, local_mb=0) as (plugin, parts), _Load(plugin, expected) as load:
        for _ in range(3):
            await _hits_rise(parts)
            server.ask("FLUSHALL")
        await _hits_rise(parts)
        server.restart()
        await _hits_rise(parts)
    load.proved()


async def test_a_full_server_fails_no_request_and_forgets(own_server: OwnServer, tmp_path: Path) -> None:
    """Nothing is kept any more, and nothing is evicted; yet what is forgotten leaves it."""
    path, server = tmp_path / "a.db", own_server(config={"maxmemory-policy": "noeviction"})
    expected = await _expected(path)
    async with opened(path, server, local_mb=0) as (plugin, parts):
        async with _Load(plugin, expected) as load:
            await _hits_rise(parts)
            server.ask("CONFIG", "SET", "maxmemory", "1")
            extra = await plugin.add(Scope("dora"), "The seat of dora is secret")
            await contents(plugin, "dora", ASKS[0])
            await eventually(lambda: _fill_failed(parts))
            await asyncio.sleep(QUIET)
            assert caches_of(parts).stats().breaker == "closed"
            server.ask("CONFIG", "SET", "maxmemory", "0")
            await _hits_rise(parts)
        load.proved()
        await eventually(lambda: _filled(plugin, parts, server))
        server.ask("CONFIG", "SET", "maxmemory", "1")
        await plugin.forget(Scope("dora"), extra.id)
        await eventually(lambda: _is_nowhere(server, "dora is secret"), RECOVERY)


async def _fill_failed(parts: Assembly) -> bool:
    return _count(parts, "fill.failed") > 0


async def _is_nowhere(server: Server, text: str) -> bool:
    return with_text(server, text) == []


async def _filled(plugin: MemoryPlugin, parts: Assembly, server: Server) -> bool:
    """Whether the server holds dora's secret; asks for it, so that it will."""
    await contents(plugin, "dora", ASKS[0])
    await fills_ended(parts)
    return with_text(server, "dora is secret") != []


# -- foreign and corrupt bytes

HEAD_BITS = 160
GARBAGE = random.Random(4).randbytes


def _flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda value: b"",
    "garbage": lambda value: GARBAGE(len(value)),
    "short garbage": lambda value: GARBAGE(7),
    "garbage behind a sound head": lambda value: value[:52] + GARBAGE(len(value) - 52),
    "head alone": lambda value: value[:52],
    "half": lambda value: value[: len(value) // 2],
    "all but the last byte": lambda value: value[:-1],
    "one byte more": lambda value: value + b"x",
    "twice": lambda value: value + value,
    "an older version": lambda value: value[:4] + b"\x00" + value[5:],
    "a later version": lambda value: value[:4] + bytes([VERSION + 1]) + value[5:],
    "said to be deflated": lambda value: value[:5] + bytes([value[5] ^ 1]) + value[6:],
    "text": lambda value: b'{"memories": ["The seat of ana is stolen"]}',
}


async def _answers(plugin: MemoryPlugin, expected: dict[tuple[str, str], str]) -> None:
    for (user, text), wanted in expected.items():
        outcome = await _request(plugin, user, text)
        assert outcome.status is Status.USED, outcome.explain.error
        assert _injected(outcome) == wanted


async def _all_cached(plugin: MemoryPlugin, parts: Assembly, expected: dict[tuple[str, str], str]) -> None:
    """Everything is answered by the server in the end."""
    for _ in range(2):
        await _answers(plugin, expected)
        await fills_ended(parts)
    before = _count(parts, "level 2.hit")
    await _answers(plugin, expected)
    assert _count(parts, "level 2.hit") == before + len(expected)


def _answer_fields(server: Server) -> dict[tuple[bytes, bytes], bytes]:
    """The answers among what the server holds."""
    return {place: value for place, value in values(server).items() if len(place[1]) == 32}


async def test_broken_values_are_misses_and_are_healed(own_server: OwnServer, tmp_path: Path) -> None:
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    async with opened(path, server, local_mb=0, cache_timeout_ms=1000) as (plugin, parts):
        for name, broken in BROKEN.items():
            await _all_cached(plugin, parts, expected)
            fields = _answer_fields(server)
            assert len(fields) == len(expected)
            refused = _refused(parts)
            asked(server, *(("HSET", *place, broken(value)) for place, value in fields.items()))
            await _answers(plugin, expected)
            assert _refused(parts) == refused + len(expected), name
        await _all_cached(plugin, parts, expected)


async def test_every_flipped_bit_leaves_answers_right(own_server: OwnServer, tmp_path: Path) -> None:
    """Each bit of the head, and some of the rest."""
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    (user, text), wanted = next(iter(expected.items()))
    async with opened(path, server, local_mb=0, cache_timeout_ms=1000) as (plugin, parts):
        await _all_cached(plugin, parts, {(user, text): wanted})
        ((place, value),) = _answer_fields(server).items()
        chance = random.Random(5)
        bits = [*range(HEAD_BITS), *(chance.randrange(HEAD_BITS, 8 * len(value)) for _ in range(100))]
        told = 0  # how often it was not used
        for bit in bits:
            asked(server, ("HSET", *place, _flipped(value, bit)))
            before = caches_of(parts).stats().counts
            outcome = await _request(plugin, user, text)
            assert outcome.status is Status.USED, bit
            assert _injected(outcome) == wanted, bit
            after = caches_of(parts).stats().counts
            names = ("level 2.hit", "level 2.dead", "level 2.expired", "level 2.unreadable")
            assert sum(after.get(name, 0) - before.get(name, 0) for name in names) == 1, bit
            told += after.get("level 2.hit", 0) == before.get("level 2.hit", 0)
            await fills_ended(parts)
        assert told > len(bits) - 80  # a later end of its life, or a flag without a meaning, changes no answer


async def test_values_under_another_question_or_user_are_not_taken(own_server: OwnServer, tmp_path: Path) -> None:
    """Each answer stands under every other question's field, of its own user and of the others."""
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    async with opened(path, server, local_mb=0, cache_timeout_ms=1000) as (plugin, parts):
        for shift in range(1, len(expected)):
            await _all_cached(plugin, parts, expected)
            fields = _answer_fields(server)
            places, found = list(fields), list(fields.values())
            moved = found[shift:] + found[:shift]
            asked(server, *(("HSET", *place, value) for place, value in zip(places, moved, strict=True)))
            refused = _refused(parts)
            await _answers(plugin, expected)
            assert _refused(parts) == refused + len(expected)
        await _all_cached(plugin, parts, expected)


@pytest.mark.parametrize("kind", ["string", "list", "stray fields"])
async def test_keys_of_another_type_are_healed(own_server: OwnServer, tmp_path: Path, kind: str) -> None:
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    async with opened(path, server, local_mb=0, cache_timeout_ms=1000) as (plugin, parts):
        await _all_cached(plugin, parts, expected)
        for key in {key for key, _ in _answer_fields(server)}:
            if kind == "stray fields":
                asked(server, ("HSET", key, "epoch", GARBAGE(9), "lease", GARBAGE(20), "x", "y"))
            else:
                asked(server, ("DEL", key), ("SET", key, "foreign") if kind == "string" else ("RPUSH", key, "foreign"))
        await _all_cached(plugin, parts, expected)


def _vectors(server: Server) -> dict[bytes, bytes]:
    return {key: value for (key, name), value in values(server).items() if not name and b"}" not in key}


VECTORS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda value: b"",
    "garbage": lambda value: GARBAGE(len(value)),
    "short": lambda value: value[:-2],
    "zeros": lambda value: value[:4] + bytes(len(value) - 4),
    "not numbers": lambda value: value[:4] + b"\xff" * (len(value) - 4),
    "the other way": lambda value: (
        value[:4] + bytes(byte ^ (0x80 if place % 2 else 0) for place, byte in enumerate(value[4:]))
    ),
}


@pytest.mark.parametrize("kind", [*VECTORS, "another text's", "of another type"])
async def test_broken_vectors_are_misses_and_are_healed(own_server: OwnServer, tmp_path: Path, kind: str) -> None:
    """A vector that is not the text's would give a wrong answer that is kept under the current epoch."""
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    async with opened(path, server, cache_timeout_ms=1000) as (plugin, parts):
        await _answers(plugin, expected)
        await fills_ended(parts)
    sound = _vectors(server)
    assert len(sound) >= len(ASKS)
    others = [*list(sound.values())[1:], next(iter(sound.values()))]
    for (key, value), other in zip(sound.items(), others, strict=True):
        if kind == "of another type":
            asked(server, ("DEL", key), ("RPUSH", key, "foreign"))
        else:
            asked(server, ("SET", key, other if kind == "another text's" else VECTORS[kind](value)))
    asked(server, *(("DEL", key) for key in {key for key, _ in _answer_fields(server)}))
    async with opened(path, server, cache_timeout_ms=1000) as (plugin, parts):
        await _answers(plugin, expected)
        await fills_ended(parts)
    assert _vectors(server) == sound


async def test_vectors_on_the_server_are_used_without_the_first_level(own_server: OwnServer, tmp_path: Path) -> None:
    path, server = tmp_path / "a.db", own_server()
    expected = await _expected(path)
    for _ in range(2):
        async with opened(path, server, local_mb=0, cache_timeout_ms=1000) as (plugin, parts):
            await _answers(plugin, expected)
            await fills_ended(parts)
            hits = _count(parts, "vector.hit")
        asked(server, *(("DEL", key) for key in {key for key, _ in _answer_fields(server)}))
    assert hits > 0


# -- forgetting is real

SECRET = "The secret seat of ana is behind the curtain"
NEWER = "The public seat of ana is by the window"
ANA = Scope("ana")


async def _forget(plugin: MemoryPlugin, parts: Assembly, id: str) -> None:
    await plugin.forget(ANA, id)


async def _forget_scope(plugin: MemoryPlugin, parts: Assembly, id: str) -> None:
    await plugin.forget_scope(ANA)


async def _update(plugin: MemoryPlugin, parts: Assembly, id: str) -> None:
    await plugin.update(ANA, id, content=NEWER)


async def _clear(plugin: MemoryPlugin, parts: Assembly, id: str) -> None:
    await parts.clear_cache(ANA)


ERASERS: dict[str, Callable[[MemoryPlugin, Assembly, str], Awaitable[None]]] = {
    "forget": _forget,
    "forget_scope": _forget_scope,
    "update": _update,
    "clear": _clear,
}


@pytest.mark.parametrize("eraser", ERASERS)
@pytest.mark.parametrize("held", ["cache put", "store candidates done", "cache get done", "cache get"])
async def test_what_is_erased_is_nowhere_on_the_server(
    own_server: OwnServer, tmp_path: Path, eraser: str, held: str
) -> None:
    """Although another process is held up on its way to fill it in, at several places of that way."""
    path, server = tmp_path / "a.db", own_server()
    hold = Hold(held)
    with intercepted(hold) as make_embedder:
        other = opened(path, server, make_embedder, cache_timeout_ms=1000)
        async with other as (slow, slow_parts), opened(path, server, cache_timeout_ms=1000) as (plugin, parts):
            record = await plugin.add(ANA, SECRET)
            await plugin.add(ANA, "The ticket of ana is in the drawer")
            for text in ASKS:
                await contents(plugin, "ana", text)
            await fills_ended(parts)
            assert with_text(server, SECRET)
            hold.on = True
            search = asyncio.create_task(contents(slow, "ana", "Where do I sit?"))
            await asyncio.wait_for(hold.reached.wait(), 10.0)
            await ERASERS[eraser](plugin, parts, record.id)
            if held != "cache get":  # a look that has not begun may fill in what is not forgotten, after a clear
                assert with_text(server, SECRET) == []
            hold.released.set()
            await search
            await fills_ended(slow_parts)
            if eraser != "clear" or held != "cache get":
                assert with_text(server, SECRET) == []
            shown = await contents(slow, "ana", ASKS[0])
            assert (SECRET in shown) == (eraser == "clear")


async def test_a_large_answer_is_erased_too(own_server: OwnServer, tmp_path: Path) -> None:
    path, server = tmp_path / "a.db", own_server()
    async with opened(path, server, cache_timeout_ms=1000) as (plugin, parts):
        record = await plugin.add(ANA, SECRET)
        for number in range(60):
            await plugin.add(ANA, f"The seat number {number} of ana: " + "row and place " * 140)
        await contents(plugin, "ana", ASKS[0])
        await fills_ended(parts)
        assert all(SECRET.encode() not in value for value in values(server).values())  # it is deflated
        assert with_text(server, SECRET)
        await plugin.forget(ANA, record.id)
        assert with_text(server, SECRET) == []


async def test_what_was_forgotten_while_the_server_was_away_leaves_it_later(
    own_server: OwnServer, tmp_path: Path
) -> None:
    path, server = tmp_path / "a.db", own_server()
    async with opened(path, server) as (plugin, parts):
        record = await plugin.add(ANA, SECRET)
        await contents(plugin, "ana", ASKS[0])
        await fills_ended(parts)
        assert with_text(server, SECRET)
        server.pause()
        try:
            began = time.perf_counter()
            assert await plugin.forget(ANA, record.id) == 1
            assert time.perf_counter() - began < 1.0
            await asyncio.sleep(QUIET)
        finally:
            server.resume()
        assert await contents(plugin, "ana", ASKS[0]) == set()
        await eventually(lambda: _is_nowhere(server, SECRET), RECOVERY)


# -- equal questions at once


class _Slow:
    """A store whose searches take their time, or as long as they are given."""

    def __init__(self, inner: Any, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds
        self.searches = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def candidates(self, query: Any, *, within: float | None = None) -> Any:
        self.searches += 1
        await asyncio.sleep(min(self._seconds, within or self._seconds))
        if within is not None and within < self._seconds:
            raise BackendTimeout("too late", backend="slow", operation="candidates")
        return await self._inner.candidates(query)


async def test_who_joins_has_the_time_of_its_own(own_server: OwnServer, tmp_path: Path) -> None:
    """The one whose question it is gives up; another one who asks the same has time enough."""
    async with opened(tmp_path / "a.db", own_server()) as (plugin, parts):
        await plugin.add(ANA, SECRET)
        store = caches_of(parts).store
        store._store = _Slow(store._store, 2 * DEADLINE_MS / 1000)
        first = asyncio.create_task(_request(plugin, "ana", ASKS[0]))
        await asyncio.sleep(0.05)
        policy = parts.config.policy(None).recall
        found = await parts.recall.recollect(ANA, ASKS[0], policy)
        assert [hit.record.content for hit in found.hits] == [SECRET]
        assert (await first).status is Status.UNAVAILABLE


async def test_equal_questions_do_not_wait_for_one_another_while_somebody_writes(
    own_server: OwnServer, tmp_path: Path
) -> None:
    """What was begun after a question came answers it, whatever was written since."""
    path, server = tmp_path / "a.db", own_server()
    async with opened(path, server) as (plugin, parts), opened(path, server) as (other, _):
        await plugin.add(ANA, SECRET)
        store = caches_of(parts).store
        slow = store._store = _Slow(store._store, 0.05)
        writing = asyncio.create_task(_writes(other))
        await asyncio.sleep(0.05)
        await asyncio.gather(*(contents(plugin, "ana", ASKS[0]) for _ in range(20)))
        writing.cancel()
        assert slow.searches <= 4


async def _writes(plugin: MemoryPlugin) -> None:
    number = 0
    while True:
        number += 1
        await plugin.add(ANA, f"The note number {number} of ana")
        await asyncio.sleep(0.005)
