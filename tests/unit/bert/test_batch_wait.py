"""Queries that wait for each other between two batches, with a model that waits at a gate."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from router_memory.backends.bert.batching import Batcher
from tests.unit.bert.fakes import PATIENCE, Gate, words

if TYPE_CHECKING:
    pass


def _query(batcher: Batcher, text: str) -> asyncio.Task[object]:
    return asyncio.create_task(batcher.query(text))


async def _queued(*tasks: asyncio.Task[object]) -> None:
    """Lets tasks just made run up to their wait."""
    for _ in tasks:
        await asyncio.sleep(0)


def _waiting_batcher(executor: ThreadPoolExecutor, gate: Gate, *, seconds: float = 1_000.0) -> Batcher:
    """One that holds queries back behind a batch of several. Its clock stands still, so that others end the wait."""
    return Batcher(
        executor,
        gate,
        split_query=words,
        split_passage=words,
        batch_size=4,
        chunk_tokens=20,
        wait_seconds=seconds,
        clock=lambda: 0.0,
    )


async def _behind_a_batch_of_two(gate: Gate, batcher: Batcher, *texts: str) -> list[asyncio.Task[object]]:
    """Queries that wait when a batch of two ends."""
    gate.shut()
    first = _query(batcher, "first")
    await asyncio.to_thread(gate.wait_for_batch)
    pair = [_query(batcher, text) for text in ("aa", "bb")]
    await _queued(*pair)
    gate.let_one()
    await asyncio.to_thread(gate.wait_for_batch)
    later = [_query(batcher, text) for text in texts]
    await _queued(*later)
    gate.open()
    await asyncio.gather(first, *pair)
    return later


async def test_queries_behind_a_batch_can_wait_for_more(gate: Gate) -> None:
    """As many as fill a batch end the wait."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _waiting_batcher(executor, gate)
        later = await _behind_a_batch_of_two(gate, batcher, "c", "d")
        assert len(gate.batches) == 2
        more = [_query(batcher, text) for text in ("e", "f")]
        await asyncio.gather(*later, *more)
        assert gate.batches[2:] == [["c", "d", "e", "f"]]
        await batcher.close()


async def test_the_wait_for_more_ends(gate: Gate) -> None:
    """Nobody depends on others coming."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _waiting_batcher(executor, gate, seconds=0.001)
        later = await _behind_a_batch_of_two(gate, batcher, "c")
        await asyncio.wait_for(asyncio.gather(*later), PATIENCE)
        await batcher.close()


async def test_behind_a_query_by_itself_nobody_waits(gate: Gate) -> None:
    """A caller alone is never held up."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _waiting_batcher(executor, gate)
        for text in ("one", "after", "another"):
            await asyncio.wait_for(batcher.query(text), PATIENCE)
        await batcher.close()


async def test_nobody_waits_for_more_while_passages_are_there(gate: Gate) -> None:
    """The worker would stand idle; a query goes before them."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _waiting_batcher(executor, gate)
        later = await _behind_a_batch_of_two(gate, batcher, "c")
        passages = asyncio.create_task(batcher.passages(["p"]))
        await asyncio.wait_for(asyncio.gather(*later, passages), PATIENCE)
        assert gate.batches[2:] == [["c"], ["p"]]
        await batcher.close()


async def test_close_ends_the_wait_for_more(gate: Gate) -> None:
    """Who waits is answered first."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _waiting_batcher(executor, gate)
        (later,) = await _behind_a_batch_of_two(gate, batcher, "c")
        await asyncio.wait_for(batcher.close(), PATIENCE)
        assert later.done()
