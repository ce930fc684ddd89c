"""What every hot cache does. A suite inherits this and gives the fixture `cache`."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

import pytest

from router_memory.types import CheckStatus, Looked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from router_memory.protocols import HotCache

__all__ = ["MOST", "HotCacheContract"]

MOST = 8
"""Values of one user in these caches."""

ALICE, BOB = "a" * 32, "b" * 32
WITHIN = 5.0
TTL = 60.0
SHORT = 0.3
PATIENCE = 10.0
ODD = bytes(range(256))


def question(number: int = 0) -> bytes:
    """A digest with bytes that mean something to a careless reader."""
    return b"\r\n\x00\xff{}" + number.to_bytes(26, "big")


async def fill(
    cache: HotCache,
    user: str = ALICE,
    number: int = 0,
    value: bytes = b"value",
    *,
    epoch: str = "one",
    lease: bytes | None = None,
    ttl: float = TTL,
) -> bool:
    """Keeps a value as one would who has looked just now."""
    if lease is None:
        lease = (await cache.get(user, question(number), within=WITHIN)).lease
    return await cache.put(user, question(number), value, epoch=epoch, lease=lease, ttl=ttl, within=WITHIN)


async def look(cache: HotCache, user: str = ALICE, number: int = 0) -> bytes | None:
    """The value alone."""
    return (await cache.get(user, question(number), within=WITHIN)).value


async def until_gone(look_again: Callable[[], Awaitable[bytes | None]]) -> None:
    """Waits until there is no value.

    Raises:
        TimeoutError: It stays.
    """
    began = time.monotonic()
    while await look_again() is not None:
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError("the value stays")
        await asyncio.sleep(0.02)


class HotCacheContract:
    """Values, purges, vectors, and what operators ask."""

    async def test_nothing_is_there_at_first(self, cache: HotCache) -> None:
        assert await cache.get(ALICE, question(), within=WITHIN) == Looked(None, b"")
        assert await cache.get_vector(question(), within=WITHIN) is None

    @pytest.mark.parametrize("value", [b"", b"\x00", ODD, b"\r\n", secrets.token_bytes(300_000)], ids=len)
    async def test_value_comes_back_as_it_was(self, cache: HotCache, value: bytes) -> None:
        assert await fill(cache, value=value)
        assert await look(cache) == value
        await cache.put_vector(question(), value, ttl=TTL, within=WITHIN)
        assert await cache.get_vector(question(), within=WITHIN) == value

    async def test_a_look_for_both_brings_what_there_is(self, cache: HotCache) -> None:
        """A value and a vector, in one call; either may be missing."""
        await fill(cache, number=0, value=ODD)
        await cache.put_vector(question(0), b"\x00vector\r\n", ttl=TTL, within=WITHIN)
        both, value, vector, neither = [
            await cache.get(ALICE, question(number), vector=question(key), within=WITHIN)
            for number, key in ((0, 0), (0, 1), (1, 0), (1, 1))
        ]
        assert both == Looked(ODD, b"", b"\x00vector\r\n")
        assert value == Looked(ODD, b"", None)
        assert vector == Looked(None, b"", b"\x00vector\r\n")
        assert neither == Looked(None, b"", None)

    async def test_a_vector_comes_only_where_it_is_asked_for(self, cache: HotCache) -> None:
        await fill(cache)
        await cache.put_vector(question(), b"vector", ttl=TTL, within=WITHIN)
        assert await cache.get(ALICE, question(), within=WITHIN) == Looked(b"value", b"", None)
        assert await cache.get(BOB, question(), vector=question(), within=WITHIN) == Looked(None, b"", b"vector")

    async def test_an_empty_vector_is_one(self, cache: HotCache) -> None:
        await cache.put_vector(question(), b"", ttl=TTL, within=WITHIN)
        assert (await cache.get(ALICE, question(), vector=question(), within=WITHIN)).vector == b""

    async def test_a_purge_leaves_vectors(self, cache: HotCache) -> None:
        """They belong to nobody. The lease comes with them."""
        await fill(cache)
        await cache.put_vector(question(), b"vector", ttl=TTL, within=WITHIN)
        await cache.purge(ALICE, within=WITHIN)
        looked = await cache.get(ALICE, question(), vector=question(), within=WITHIN)
        assert (looked.value, looked.vector) == (None, b"vector")
        assert looked.lease
        assert await fill(cache, lease=looked.lease)

    async def test_many_looks_for_both_at_once(self, cache: HotCache) -> None:
        """Nobody gets what another one asked for, on whatever nodes it is."""
        users = [f"{number:032}" for number in range(40)]
        for number, user in enumerate(users):
            await fill(cache, user, number, f"value {number}".encode())
            await cache.put_vector(question(number), f"vector {number}".encode(), ttl=TTL, within=WITHIN)
        found = await asyncio.gather(
            *(
                cache.get(user, question(number), vector=question(39 - number), within=WITHIN)
                for number, user in enumerate(users)
            )
        )
        assert found == [
            Looked(f"value {number}".encode(), b"", f"vector {39 - number}".encode()) for number in range(40)
        ]

    async def test_a_later_value_takes_the_place_of_an_earlier(self, cache: HotCache) -> None:
        assert await fill(cache, value=b"1")
        assert await fill(cache, value=b"2")
        assert await look(cache) == b"2"
        assert (await cache.stats()).entries == 1

    async def test_questions_and_users_keep_apart(self, cache: HotCache) -> None:
        for user in (ALICE, BOB):
            for number in range(3):
                assert await fill(cache, user, number, f"{user}{number}".encode())
        for user in (ALICE, BOB):
            for number in range(3):
                assert await look(cache, user, number) == f"{user}{number}".encode()
        assert await look(cache, ALICE, 3) is None

    async def test_another_epoch_drops_the_values_of_this_user(self, cache: HotCache) -> None:
        await fill(cache, ALICE, 0)
        await fill(cache, ALICE, 1)
        await fill(cache, BOB, 0)
        assert await fill(cache, ALICE, 2, epoch="two")
        assert [await look(cache, ALICE, number) for number in range(3)] == [None, None, b"value"]
        assert await look(cache, BOB, 0) == b"value"

    async def test_too_many_values_drop_those_before(self, cache: HotCache) -> None:
        for number in range(MOST):
            assert await fill(cache, number=number)
        assert await fill(cache, number=0, value=b"again")  # none more than there are
        assert (await cache.stats()).entries == MOST
        assert await fill(cache, number=MOST)
        assert await look(cache, number=MOST) == b"value"
        assert (await cache.stats()).entries == 1

    async def test_too_many_values_after_a_purge(self, cache: HotCache) -> None:
        """What the purge has left is none of them, and stays."""
        late = (await cache.get(ALICE, question(), within=WITHIN)).lease
        await cache.purge(ALICE, within=WITHIN)
        for number in range(MOST):
            assert await fill(cache, number=number)
        assert (await cache.stats()).entries == MOST
        assert await fill(cache, number=MOST)
        assert not await fill(cache, number=1, lease=late)
        assert (await cache.stats()).entries == 1

    async def test_purge_takes_everything_of_one_user(self, cache: HotCache) -> None:
        for number in range(3):
            await fill(cache, ALICE, number)
        await fill(cache, BOB)
        await cache.purge(ALICE, within=WITHIN)
        assert [await look(cache, ALICE, number) for number in range(3)] == [None] * 3
        assert await look(cache, BOB) == b"value"

    async def test_late_fill_does_not_undo_a_purge(self, cache: HotCache) -> None:
        for _ in range(3):  # a purge of a purged user counts as well
            before = await cache.get(ALICE, question(), within=WITHIN)
            await cache.purge(ALICE, within=WITHIN)
            assert not await fill(cache, lease=before.lease, value=b"forgotten")
            assert await look(cache) is None

    async def test_fill_after_a_purge_needs_its_lease(self, cache: HotCache) -> None:
        await cache.purge(ALICE, within=WITHIN)
        looked = await cache.get(ALICE, question(), within=WITHIN)
        assert looked.value is None
        assert looked.lease
        assert not await fill(cache, lease=b"")
        assert not await fill(cache, lease=bytes(8))
        assert await fill(cache, lease=looked.lease)
        assert await cache.get(ALICE, question(), within=WITHIN) == Looked(b"value", looked.lease)

    async def test_lease_outlives_another_epoch(self, cache: HotCache) -> None:
        await cache.purge(ALICE, within=WITHIN)
        assert await fill(cache, epoch="one")
        assert await fill(cache, epoch="two", number=1)
        assert not await fill(cache, lease=b"", value=b"forgotten")

    async def test_purge_of_nobody(self, cache: HotCache) -> None:
        await cache.purge(ALICE, within=WITHIN)
        stats = await cache.stats()
        assert (stats.users, stats.entries) == (0, 0)

    async def test_fills_and_purges_at_once_never_leave_the_forgotten(self, cache: HotCache) -> None:
        """Whatever the order: what was computed before the last purge is not there after it."""
        stop = False

        async def keep_filling(number: int) -> None:
            while not stop:
                lease = (await cache.get(ALICE, question(number), within=WITHIN)).lease
                await asyncio.sleep(0)
                await fill(cache, number=number, value=lease, lease=lease)

        tasks = [asyncio.create_task(keep_filling(number)) for number in range(4)]
        for _ in range(30):
            await cache.purge(ALICE, within=WITHIN)
            for number in range(4):
                looked = await cache.get(ALICE, question(number), within=WITHIN)
                assert looked.value in (None, looked.lease)
        stop = True
        await asyncio.gather(*tasks)

    async def test_values_end(self, cache: HotCache) -> None:
        assert await fill(cache, ttl=SHORT)
        await cache.put_vector(question(), b"vector", ttl=SHORT, within=WITHIN)
        assert await look(cache) == b"value"
        assert await cache.get_vector(question(), within=WITHIN) == b"vector"
        await until_gone(lambda: look(cache))
        await until_gone(lambda: cache.get_vector(question(), within=WITHIN))
        assert await cache.clear() == 0

    async def test_the_longest_time_counts(self, cache: HotCache) -> None:
        assert await fill(cache, number=0, ttl=TTL)
        assert await fill(cache, number=1, ttl=SHORT)
        await asyncio.sleep(2 * SHORT)
        assert await look(cache, number=0) == b"value"

    async def test_a_purge_is_remembered_longer_than_a_short_value(self, cache: HotCache) -> None:
        await cache.purge(ALICE, within=WITHIN)
        assert await fill(cache, ttl=SHORT)
        assert await fill(cache, ttl=SHORT, epoch="two")
        await asyncio.sleep(2 * SHORT)
        assert not await fill(cache, lease=b"")

    async def test_clear_takes_everything_away(self, cache: HotCache) -> None:
        for number in range(150):
            await fill(cache, f"user{number:028}")
            await cache.put_vector(question(number), b"vector", ttl=TTL, within=WITHIN)
        await cache.purge(BOB, within=WITHIN)
        assert await cache.clear() == 301
        assert await cache.clear() == 0
        stats = await cache.stats()
        assert (stats.users, stats.entries, stats.vectors, stats.bytes) == (0, 0, 0, 0)

    async def test_stats(self, cache: HotCache) -> None:
        size = 20_000
        for number in range(4):
            await fill(cache, ALICE, number, secrets.token_bytes(size))
            await fill(cache, f"user{number:028}", 0, secrets.token_bytes(size))
        for number in range(3):
            await cache.put_vector(question(number), secrets.token_bytes(size), ttl=TTL, within=WITHIN)
        await cache.purge(BOB, within=WITHIN)
        stats = await cache.stats()
        assert (stats.users, stats.entries, stats.vectors) == (5, 8, 3)
        assert 0.9 * 11 * size < stats.bytes < 2 * 11 * size
        assert stats.location == cache.location
        assert stats.version
        assert stats.policy
        assert stats.used_bytes >= 11 * size
        assert stats.round_trip >= 0

    async def test_examination_of_one_that_works(self, cache: HotCache) -> None:
        await fill(cache)
        before = await cache.stats()
        found = await cache.examine()
        after = await cache.stats()
        assert found[0].name == "cache"
        assert not [each for each in found if each.status is CheckStatus.FAIL]
        assert len({each.name for each in found}) == len(found)
        assert (before.users, before.entries, before.vectors) == (after.users, after.entries, after.vectors)
        assert await look(cache) == b"value"
        assert await cache.clear() == 1

    async def test_close_is_idempotent(self, cache: HotCache) -> None:
        await cache.close()
        await cache.close()
