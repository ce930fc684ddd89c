"""What goes through the model next, with a model that waits at a gate."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert.batching import Batcher
from router_memory.backends.bert.pace import Pace
from router_memory.errors import EmbeddingError
from tests.unit.bert.fakes import PATIENCE, Gate, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def batcher(gate: Gate) -> AsyncIterator[Batcher]:
    """A batcher of chunks of at most 4 parts and 20 tokens."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _batcher(executor, gate)
        yield batcher
        gate.open()
        await batcher.close()


def _batcher(
    executor: ThreadPoolExecutor, gate: Gate, *, pace: Pace | None = None, now: list[float] | None = None
) -> Batcher:
    instant = now or [0.0]
    return Batcher(
        executor,
        gate,
        split_query=words,
        split_passage=words,
        batch_size=4,
        chunk_tokens=20,
        pace=pace,
        clock=lambda: instant[0],
    )


async def _running(gate: Gate, batcher: Batcher, text: str = "first") -> asyncio.Task[object]:
    """A query whose batch stands at the shut gate."""
    gate.shut()
    task: asyncio.Task[object] = asyncio.create_task(batcher.query(text))
    await asyncio.to_thread(gate.wait_for_batch)
    return task


async def _queued(*tasks: asyncio.Task[object]) -> None:
    """Lets tasks just made run up to their wait."""
    for _ in tasks:
        await asyncio.sleep(0)


def _query(batcher: Batcher, text: str) -> asyncio.Task[object]:
    return asyncio.create_task(batcher.query(text))


def _passages(batcher: Batcher, *texts: str) -> asyncio.Task[object]:
    return asyncio.create_task(batcher.passages(texts))


async def test_a_lone_query_is_encoded_at_once(batcher: Batcher, gate: Gate) -> None:
    """Nobody waits for a batch to fill."""
    rows = await batcher.query("hello")
    assert [row.tolist() for row in rows] == [[5, 1]]


async def test_queries_that_arrive_meanwhile_go_together(batcher: Batcher, gate: Gate) -> None:
    """What accumulates while a batch runs is the next batch."""
    first = await _running(gate, batcher)
    others = [_query(batcher, text) for text in ("aa", "bb", "cc")]
    await _queued(*others)
    gate.open()
    await asyncio.gather(first, *others)
    assert gate.batches == [["first"], ["aa", "bb", "cc"]]


async def test_batches_are_bounded(batcher: Batcher, gate: Gate) -> None:
    """No batch has more parts than `batch_size` nor more tokens than `chunk_tokens`, padding included."""
    first = await _running(gate, batcher)
    others = [_query(batcher, text) for text in ("a" * 9, "b" * 9, "c" * 9, "d", "e", "f", "g", "h")]
    await _queued(*others)
    gate.open()
    await asyncio.gather(first, *others)
    assert gate.batches[1:] == [["a" * 9, "b" * 9], ["d", "c" * 9], ["e", "f", "g", "h"]]


async def test_a_part_longer_than_a_chunk_goes_alone(batcher: Batcher, gate: Gate) -> None:
    """A bound smaller than one part must not stop it."""
    rows = await batcher.query("x" * 50)
    assert rows[0][0] == 50


async def test_a_query_waits_for_at_most_one_chunk_of_passages(batcher: Batcher, gate: Gate) -> None:
    """It overtakes the passages that are not running yet."""
    gate.shut()
    passages = _passages(batcher, *["p" * 10] * 6)
    await asyncio.to_thread(gate.wait_for_batch)
    query = _query(batcher, "question")
    await _queued(query)
    gate.open()
    await asyncio.gather(passages, query)
    assert gate.batches == [["p" * 10] * 2, ["question"], ["p" * 10] * 2, ["p" * 10] * 2]


async def test_a_short_query_overtakes_the_parts_of_a_long_one(batcher: Batcher, gate: Gate) -> None:
    """A long question must not hold up everyone else's short one."""
    long = await _running(gate, batcher, "|".join(["x" * 20] * 3))
    short = _query(batcher, "short")
    await _queued(short)
    gate.open()
    await asyncio.gather(long, short)
    assert [batch[0][0] for batch in gate.batches] == ["x", "s", "x", "x"]


async def test_no_query_starves(batcher: Batcher, gate: Gate) -> None:
    """However many short ones come after a long one, and after its later parts."""
    first = await _running(gate, batcher)
    waiting = [_query(batcher, "|".join(["x" * 12] * 2))]
    for _ in range(8):
        waiting += [_query(batcher, text) for text in ("a", "b", "c", "d")]
        await _queued(*waiting)
        gate.let_one()
        await asyncio.to_thread(gate.wait_for_batch)
    gate.open()
    await asyncio.gather(first, *waiting)
    places = [number for number, batch in enumerate(gate.batches) if "x" * 12 in batch]
    assert places[0] == 1
    assert places[1] <= 4


async def test_passages_of_one_length_go_together(batcher: Batcher, gate: Gate) -> None:
    """Sorting by length saves padding; rows come back in the order of texts and parts all the same."""
    result = await batcher.passages(["aaaaaaaa|b", "c", "dddddddd"])
    assert gate.batches == [["b", "c"], ["aaaaaaaa", "dddddddd"]]
    assert [[row[0] for row in rows] for rows in result] == [[8, 1], [1], [8]]


async def test_no_passage_starves(batcher: Batcher, gate: Gate) -> None:
    """Short passages that come later do not overtake long ones for ever."""
    gate.shut()
    long = _passages(batcher, *["l" * 20] * 3)
    await asyncio.to_thread(gate.wait_for_batch)
    late = _passages(batcher, "s")
    await _queued(late)
    gate.open()
    await asyncio.gather(long, late)
    assert gate.batches[-1] == ["s"]


async def test_no_texts_cost_nothing(batcher: Batcher, gate: Gate) -> None:
    """An empty request is answered without the model."""
    assert await batcher.passages([]) == []
    assert gate.batches == []


async def test_a_request_cancelled_before_its_batch_is_dropped(batcher: Batcher, gate: Gate) -> None:
    """It never reaches the model."""
    first = await _running(gate, batcher)
    unwanted, wanted = _query(batcher, "unwanted"), _query(batcher, "wanted")
    await _queued(unwanted, wanted)
    unwanted.cancel()
    await _queued(unwanted)
    gate.open()
    await asyncio.gather(first, wanted)
    assert gate.batches == [["first"], ["wanted"]]


async def test_the_rest_of_cancelled_passages_is_dropped(batcher: Batcher, gate: Gate) -> None:
    """Chunks that did not run yet are not run."""
    gate.shut()
    passages = _passages(batcher, *["p" * 20] * 5)
    await asyncio.to_thread(gate.wait_for_batch)
    passages.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await passages
    gate.open()
    await batcher.close()
    assert len(gate.batches) == 1


async def test_cancelling_a_running_request_leaves_the_worker_well(batcher: Batcher, gate: Gate) -> None:
    """The batch finishes unseen and the next one runs."""
    first = await _running(gate, batcher)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    gate.open()
    assert (await batcher.query("next"))[0][0] == 4


async def test_a_bad_text_fails_alone(batcher: Batcher, gate: Gate) -> None:
    """The batch is encoded again one by one; who is not to blame gets vectors."""
    first = await _running(gate, batcher)
    bad, good = _query(batcher, "bad"), _query(batcher, "good")
    await _queued(bad, good)
    gate.open()
    await first
    with pytest.raises(EmbeddingError, match="ValueError") as caught:
        await bad
    assert isinstance(caught.value.__cause__, ValueError)
    assert (await good) is not None


async def test_a_bad_passage_fails_its_request(batcher: Batcher, gate: Gate) -> None:
    """A request gets all of its vectors or an error, and the worker goes on."""
    with pytest.raises(EmbeddingError):
        await batcher.passages(["fine", "bad"])
    assert (await batcher.query("next"))[0][0] == 4


async def test_a_text_that_cannot_be_split_fails_alone(gate: Gate) -> None:
    """A tokenizer's error reaches the caller of that text."""

    def split(text: str) -> list[object]:
        if text == "odd":
            raise UnicodeError(text)
        return list(words(text))

    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = Batcher(executor, gate, split_query=split, split_passage=split, batch_size=4)  # type: ignore[arg-type]
        results = await asyncio.gather(batcher.query("odd"), batcher.query("even"), return_exceptions=True)
    assert isinstance(results[0], EmbeddingError)
    assert "odd" not in str(results[0])
    assert isinstance(results[1], list)


async def test_everything_runs_on_one_thread(gate: Gate) -> None:
    """Models are not safe for concurrent use, and the loop must stay free."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker") as executor:
        batcher = _batcher(executor, gate)
        await asyncio.gather(*(batcher.query(str(n)) for n in range(20)), batcher.passages(["a", "b"]))
    assert gate.threads == {"worker_0"}


async def test_close_finishes_what_is_under_way_and_refuses_the_rest(batcher: Batcher, gate: Gate) -> None:
    """Queued calls are answered; new ones are not taken."""
    first = await _running(gate, batcher)
    queued = _passages(batcher, "a", "b")
    await _queued(queued)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(EmbeddingError, match="closed"):
        await batcher.query("late")
    gate.open()
    await asyncio.wait_for(closing, PATIENCE)
    assert first.done()
    assert queued.done()
    await batcher.close()


async def test_a_dead_executor_fails_calls_instead_of_hanging_them(gate: Gate) -> None:
    """At interpreter exit executors refuse work; everyone waiting must hear of it."""
    executor = ThreadPoolExecutor(max_workers=1)
    batcher = _batcher(executor, gate)
    executor.shutdown()
    with pytest.raises(EmbeddingError):
        await batcher.query("late")
    await batcher.close()


async def test_the_backlog_is_zero_when_idle(batcher: Batcher) -> None:
    """A query that came now would start at once."""
    assert batcher.backlog_seconds() == 0.0
    await batcher.query("once")
    assert batcher.backlog_seconds() == 0.0


async def test_the_backlog_is_what_is_left_of_the_running_chunk(gate: Gate) -> None:
    """Time that passed is taken off, and a late chunk is expected to take as long again as it is late."""
    now, pace = [100.0], Pace()
    pace.observe(0, 2.4)  # 24 tokens' worth of overhead: a tenth of a second a token
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _batcher(executor, gate, pace=pace, now=now)
        task = await _running(gate, batcher, "x" * 32)  # estimated at 2 + 32 / 4 = 10 tokens
        assert batcher.backlog_seconds() == pytest.approx(3.4)
        now[0] += 3.0
        assert batcher.backlog_seconds() == pytest.approx(0.4)
        now[0] += 1.4
        assert batcher.backlog_seconds() == pytest.approx(1.0)
        gate.open()
        await task


async def test_full_batches_of_waiting_queries_add_to_the_backlog(gate: Gate) -> None:
    """A batch that is not full yet takes the newcomer along and costs it nothing; passages never count."""
    now, pace = [0.0], Pace()
    pace.observe(0, 2.4)
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _batcher(executor, gate, pace=pace, now=now)
        tasks = [await _running(gate, batcher, "x" * 32)]
        alone = batcher.backlog_seconds()
        tasks += [_query(batcher, "ab") for _ in range(3)] + [_passages(batcher, *["p" * 20] * 50)]
        await _queued(*tasks)
        assert batcher.backlog_seconds() == alone
        tasks.append(_query(batcher, "ab"))
        await _queued(*tasks)
        assert batcher.backlog_seconds() == pytest.approx(alone + 0.1 * (24 + 4 * 2))
        gate.open()
        await asyncio.gather(*tasks)


async def test_what_the_running_step_leaves_over_counts_by_its_number_too(gate: Gate) -> None:
    """Short texts fill a batch by their number; those that were taken out of the queue go before a newcomer."""
    now, pace = [0.0], Pace()
    pace.observe(0, 2.4)
    with ThreadPoolExecutor(max_workers=1) as executor:
        batcher = _batcher(executor, gate, pace=pace, now=now)
        tasks = [await _running(gate, batcher)]
        tasks += [_query(batcher, "a") for _ in range(12)]  # of two tokens, as far as is known before they are split
        await _queued(*tasks)
        found = []
        for _ in range(2):
            gate.let_one()
            await asyncio.to_thread(gate.wait_for_batch)
            found.append(batcher.backlog_seconds() / pace.seconds(0))  # in empty passes: what one takes changes
        gate.open()
        await asyncio.gather(*tasks)
    overhead = 24
    assert found == pytest.approx([3 * (overhead + 4 * 2) / overhead, 2 * (overhead + 4 * 1) / overhead])


async def test_queries_nobody_waits_for_are_no_backlog(batcher: Batcher, gate: Gate) -> None:
    """A storm of requests that ran into their deadlines does not turn new ones away."""
    first = await _running(gate, batcher)
    alone = batcher.backlog_seconds()
    tasks = [_query(batcher, "x" * 100) for _ in range(50)]
    await _queued(*tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    gate.open()
    await first
    assert alone >= 0.0
    assert gate.batches == [["first"]]


async def test_a_loop_that_is_gone_does_not_hurt_the_worker(gate: Gate) -> None:
    """It finishes its step with nobody to tell."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        gate.shut()

        async def elsewhere() -> None:
            batcher = _batcher(executor, gate)
            task = asyncio.create_task(batcher.query("first"))
            await asyncio.to_thread(gate.wait_for_batch)
            task.cancel()

        await asyncio.to_thread(asyncio.run, elsewhere())
        gate.open()
        assert await asyncio.wrap_future(executor.submit(lambda: "well")) == "well"
