"""Indexes that are dropped, remade otherwise or lack a memory: answers stay right, or say that they are not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.schema import Shape, create_main
from router_memory.types import MemoryType, Scope
from tests.contract.samples import DIMENSION, best_cosine, change, ids, memories, memory, query
from tests.faults.stores import faults_of, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.backends.valkey import ValkeyStore
    from router_memory.types import CandidateQuery, MemoryChange
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

ALICE = Scope("alice")
HOME = Scope("alice", "home")


def _calls(server: Server, command: str) -> int:
    """How often the server ran a command."""
    counted = server.ask("INFO", "commandstats")
    assert isinstance(counted, bytes)
    found = re.search(rf"cmdstat_{command}:calls=(\d+)", counted.decode(), re.IGNORECASE)
    return int(found[1]) if found else 0


async def _check_cosines(target: ValkeyStore, asked: CandidateQuery, *, exact: bool) -> None:
    result = await target.candidates(asked)
    assert result.exact == exact
    assert result.candidates
    assert asked.vector is not None
    by_id = {write.record.id: write for write in memories(ALICE, 60)}
    for found in result.candidates:
        assert found.cosine == pytest.approx(best_cosine(asked.vector, by_id[found.record.id]), abs=1e-4)


@pytest.mark.parametrize(("old", "new"), [("COSINE", "L2"), ("L2", "COSINE"), ("IP", "L2")])
async def test_a_graph_of_another_metric_is_remade(own_server: OwnServer, old: str, new: str) -> None:
    """It is of the index that was dropped: its distances would be taken for those of the new metric."""
    server = own_server(search=True)
    asked = query(ALICE, 3, dense_limit=10)
    async with opened([server.address], promote_at=20, metric=old) as target:
        await target.add(ALICE, memories(ALICE, 60))
        await target.settle()
        await _check_cosines(target, asked, exact=False)
    server.ask("FT.DROPINDEX", "mem_idx")
    async with opened([server.address], promote_at=20, metric=new) as target:
        await _check_cosines(target, asked, exact=True)
        await target.settle()
        await _check_cosines(target, asked, exact=False)


@pytest.mark.parametrize(
    "asked",
    [query(HOME, dense_limit=100), query(ALICE, None, stems=("memory",), lexical_limit=100)],
    ids=["dense", "stems alone"],
)
async def test_an_index_remade_between_the_commands_of_a_search(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch, asked: CandidateQuery
) -> None:
    """It was whole when it was asked about, and holds nothing yet when it is searched."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(HOME, memories(HOME, 60))
        epoch = (await target.statistics(ALICE, ())).epoch
        assert len((await target.candidates(asked)).candidates) == 60
        pipeline = target._connection.pipeline
        remade = 0

        async def one_by_one(operation: str, commands: Sequence[Sequence[Any]], **options: Any) -> list[Any]:
            nonlocal remade
            replies: list[Any] = []
            for command in commands:
                # once more before it is asked about again: on a busy machine it would be whole by then
                if remade < 2 and command[0] == "FT.SEARCH" and ("RETURN" in command or remade):
                    server.ask("FT.DROPINDEX", "mem_idx")
                    server.ask(*create_main("mem_idx", "mem:", DIMENSION, Shape()))
                    remade += 1
                replies += await pipeline(operation, [command], **options)
            return replies

        monkeypatch.setattr(target._connection, "pipeline", one_by_one)
        result = await target.candidates(asked)
        assert remade
        assert len(result.candidates) == 60 or (result.partial and result.epoch != epoch)


async def test_memories_without_stems_are_no_failures(own_server: OwnServer) -> None:
    """A text of stop words alone: found by its vector, and nothing for an operator to look into."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(ALICE, [memory(ALICE, 1, stems={}, rows=3), memory(ALICE, 2, stems={}), memory(ALICE, 3)])
        gone = await target.update(ALICE, memory(ALICE, 3).record.id, _change_without_stems())
        assert gone is not None
        assert (await target.stats()).details["index_failures"] == 0
        assert len((await target.candidates(query(ALICE))).candidates) == 3
        assert (await target.candidates(query(ALICE, None, stems=("memory", "n3")))).candidates == ()
        assert faults_of(server) == []


def _change_without_stems() -> MemoryChange:
    return change(memory(ALICE, 4, stems={}))


@pytest.mark.parametrize("promote_at", [100_000, 20], ids=["exact", "graph"])
async def test_a_memory_deleted_behind_the_stores_back(own_server: OwnServer, promote_at: int) -> None:
    """Searches go on with what is left and say that it is not all; no graph is made again and again."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=promote_at) as target:
        await target.add(HOME, memories(HOME, 60))
        await target.settle()
        await target.candidates(query(ALICE))
        gone = memory(HOME, 7).record.id
        server.ask("DEL", Keys.of("mem:", ALICE).record(gone))
        made = _calls(server, "FT.CREATE")
        epoch = (await target.statistics(ALICE, ())).epoch
        left = set(ids(memories(HOME, 60))) - {gone}
        for asked in (
            query(ALICE, dense_limit=100),
            query(HOME, dense_limit=100),
            query(ALICE, None, stems=("memory",), lexical_limit=100),
        ):
            for _ in range(20):
                result = await target.candidates(asked)
                assert {found.record.id for found in result.candidates} == left
                assert result.partial
                assert result.epoch != epoch
        await target.settle()
        assert _calls(server, "FT.CREATE") == made
        looked = _calls(server, "FT.INFO")
        for _ in range(20):
            await target.candidates(query(ALICE))
        assert _calls(server, "FT.INFO") - looked <= 1, "the index is looked at again for every search"


@pytest.mark.parametrize(
    "asked",
    [
        query(Scope("alice", "work")),
        query(ALICE, types=frozenset({MemoryType.EPISODIC})),
        query(ALICE, None, stems=("nowhere",)),
    ],
    ids=["another project", "another type", "another stem"],
)
async def test_nothing_found_beside_a_damaged_memory_is_no_error(own_server: OwnServer, asked: CandidateQuery) -> None:
    """The index is not being built for ever: that one memory is missing does not refuse what matches none at all."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(HOME, memories(HOME, 10))
        assert (await target.candidates(asked)).candidates == ()
        server.ask("DEL", Keys.of("mem:", ALICE).record(memory(HOME, 7).record.id))
        for _ in range(3):
            assert (await target.candidates(asked)).candidates == ()


async def test_the_vectors_of_one_memory_do_not_hide_the_others(own_server: OwnServer) -> None:
    """All neighbours asked for may be vectors of one memory: the answer is then of fewer memories, under no epoch."""
    server = own_server(search=True)
    nearest = memory(ALICE, 7).vectors[0]
    near = nearest + 0.05 * memory(ALICE, 8, rows=1_000).vectors
    near = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
    async with opened([server.address], promote_at=100_000) as target:
        await target.add(ALICE, memories(ALICE, 1_000))
        await target.add(ALICE, [memory(ALICE, 5_000, vectors=near)])
        epoch = (await target.statistics(ALICE, ())).epoch
    async with opened([server.address], promote_at=100_000) as target:  # it knows nothing of the user yet
        for _ in range(3):
            result = await target.candidates(query(ALICE, 7, dense_limit=50))
            assert len(result.candidates) == 50 or result.epoch != epoch
        assert len(result.candidates) == 50
        assert result.epoch == epoch
