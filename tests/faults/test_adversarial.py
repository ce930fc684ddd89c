"""10,000 ids and texts made to break out: no row of another user, no error of the server."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from router_memory.ranking import read
from router_memory.types import CandidateQuery, MemoryChange, Scope, WriteStatus
from tests.contract.samples import START, memory, unit_vectors
from tests.faults.adversarial import queries, strings
from tests.faults.stores import opened
from tests.servers.census import census
from tests.servers.stores import clear, fresh_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router_memory.backends.valkey import ValkeyStore
    from router_memory.types import MemoryWrite
    from tests.servers.process import Endpoint

_AT_ONCE = 64


@pytest.fixture
async def names(search_server: Endpoint) -> AsyncIterator[dict[str, str]]:
    """A prefix and an index that are removed afterwards."""
    made = fresh_names()
    yield made
    await clear([search_server.address], made["prefix"], made["index_name"], cluster=False)


def _owned(user: str, texts: list[str], seed: int) -> list[MemoryWrite]:
    """Memories of a user whose ids, contents, stems, projects and origins are all made of these texts."""
    scope = Scope(user)
    stems = {texts[0]: 1, texts[1]: 2, "shared": 1}
    return [
        memory(
            scope,
            seed,
            id=texts[2],
            content=texts[3],
            stems=stems,
            vectors=unit_vectors(seed % 50, 1 + seed % 2),
            speaker=texts[4],
            conversation_id=texts[5],
        )
    ]


async def _check_user(target: ValkeyStore, user: str, writes: list[MemoryWrite], texts: list[str]) -> None:
    """Searches through both channels and by everything a query can hold; finds the user's own alone, and whole."""
    scope = Scope(user)
    own = {write.record.id: write for write in writes}
    wanted = (texts[0], texts[1], "shared")
    vector = unit_vectors(3)[0]
    both = await target.candidates(CandidateQuery(scope=scope, vector=vector, stems=wanted))
    assert {hit.record.id for hit in both.candidates} == set(own)
    for hit in both.candidates:
        assert hit.record == own[hit.record.id].record
        assert hit.document == own[hit.record.id].document
    by_stem = await target.candidates(CandidateQuery(scope=scope, vector=None, stems=(texts[0],)))
    assert {hit.record.id for hit in by_stem.candidates} == set(own)
    statistics = await target.statistics(scope, wanted)
    assert dict(statistics.frequency) == dict.fromkeys(wanted, len(own))
    assert [record.id for record in (await target.list(scope)).records] == list(own)
    in_project = Scope(user, texts[6])
    assert (await target.candidates(CandidateQuery(scope=in_project, vector=vector, stems=wanted))).candidates == ()
    assert await target.contains(scope, [texts[2], texts[3]]) >= frozenset(own)
    assert await target.get(in_project, texts[2]) is None


async def _in_groups(calls: list[object]) -> None:
    for start in range(0, len(calls), _AT_ONCE):
        await asyncio.gather(*calls[start : start + _AT_ONCE])  # type: ignore[call-overload]


@pytest.mark.parametrize("users", [600, pytest.param(10_000, marks=pytest.mark.full)], ids=lambda n: f"{n} users")
async def test_no_id_and_no_text_breaks_out(search_server: Endpoint, names: dict[str, str], users: int) -> None:
    """Each user finds its own and nobody else's, case twins and normal forms among them; reference defect 1."""
    who = list(islice(strings(1), users))
    supply = strings(2)
    texts = [list(islice(supply, 7)) for _ in who]
    owned = [_owned(user, own, seed) for seed, (user, own) in enumerate(zip(who, texts, strict=True))]
    async with opened([search_server.address], **names) as target:
        await _in_groups([target.add(Scope(user), writes) for user, writes in zip(who, owned, strict=True)])
        await _in_groups(
            [_check_user(target, user, writes, own) for user, writes, own in zip(who, owned, texts, strict=True)]
        )
        for user, writes in list(zip(who, owned, strict=True))[: users // 10]:
            name, scope = writes[0].record.id, Scope(user)
            assert await target.add(scope, writes) == [WriteStatus.MERGED]
            assert await target.update(scope, name, MemoryChange(at=START, importance=0.9)) is not None
            await target.touch(scope, [name], START)
            assert await target.forget(scope, [name]) == 1
    counted = census(*search_server.address, names["prefix"])
    assert counted.faults() == []
    assert counted.memories == users - users // 10


@pytest.mark.parametrize("texts", [1_500, pytest.param(10_000, marks=pytest.mark.full)], ids=lambda n: f"{n} texts")
async def test_no_query_breaks_out(search_server: Endpoint, names: dict[str, str], texts: int) -> None:
    """Two users with the same memories, each asked everything: whatever is asked, only the own ones come back."""
    alice, twin = Scope("alice"), Scope("Alice")
    async with opened([search_server.address], **names) as target:
        for scope in (alice, twin):
            await target.add(scope, [memory(scope, seed, stems={"tea": 1, "*": 1, "a|b": 2}) for seed in range(30)])
        own = {hit.id for hit in (await target.list(alice, limit=100)).records}

        async def ask(number: int, text: str) -> None:
            stems = tuple(dict.fromkeys((*read(text).terms, *text.split()[:20], text[:500])))
            vector = None if number % 2 else unit_vectors(number % 40)[0]
            found = await target.candidates(CandidateQuery(scope=alice, vector=vector, stems=stems))
            assert {hit.record.id for hit in found.candidates} <= own
            assert all(hit.record.scope == alice for hit in found.candidates)

        await _in_groups([ask(number, text) for number, text in enumerate(islice(queries(3), texts))])


async def test_more_stems_than_a_query_holds(search_server: Endpoint, names: dict[str, str]) -> None:
    """They are asked for in groups; the module's limit of 10,240 bytes is never met."""
    scope = Scope("alice")
    async with opened([search_server.address], **names) as target:
        await target.add(scope, [memory(scope, seed, stems={f"s{seed}": 1}) for seed in range(1_500)])
        wanted = tuple(f"s{seed}" for seed in range(0, 1_500, 1))
        found = await target.candidates(CandidateQuery(scope=scope, vector=None, stems=wanted, lexical_limit=2_000))
        assert len(found.candidates) == 1_500


async def test_the_largest_memory_and_the_longest_ids(search_server: Endpoint, names: dict[str, str]) -> None:
    """64 KiB of id, a megabyte of content, thousands of stems: stored, found and forgotten whole."""
    scope = Scope("u" * 65_536, "p" * 65_536)
    stems = {f"stem number {number}": 1 + number % 3 for number in range(9_000)}
    write = memory(scope, 1, id="i" * 20_000, content="x\n" * 500_000, stems=stems, rows=40)
    async with opened([search_server.address], **names) as target:
        assert await target.add(scope, [write]) == [WriteStatus.STORED]
        (hit,) = (
            await target.candidates(CandidateQuery(scope=scope, vector=unit_vectors(1)[0], stems=("x",)))
        ).candidates
        assert (hit.record, hit.document, hit.parts) == (write.record, write.document, 40)
        assert await target.forget_scope(scope) == 1
    assert census(*search_server.address, names["prefix"]).keys == 0
