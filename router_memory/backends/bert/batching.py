"""One worker thread, and what it does next.

The event loop owns the queues and hands the worker one step at a time: a chunk of the queries, or when there
are none, of the passages. Requests that arrive meanwhile wait for the step's end and then go together. Behind a batch
of several queries it can wait a moment for more of them, behind a query by itself it never does. It knows nothing of
models: splitting and encoding are functions it is given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from router_memory.backends.bert.lanes import Lane, Request, Step
from router_memory.backends.bert.pace import Pace
from router_memory.backends.bert.splitting import Part
from router_memory.backends.bert.work import Encode, Outcome, Work
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CHUNK_TOKENS", "Batcher"]

# The longest a query waits for passages: MiniLM takes 65 ms on one core, 39 ms on two. Twice the chunk would
# encode passages 7 % faster.
CHUNK_TOKENS = 256


class Batcher:
    """Batches texts from concurrent tasks through one encode function.

    Belongs to the event loop it is made in. `executor` must have a single thread.

    Args:
        executor: Where splitting and encoding run, one step at a time. The caller shuts it down.
        encode: Turns parts into rows. What it raises fails those texts alone that raise by themselves too.
        split_query: Turns a query into parts.
        split_passage: Turns a passage into parts.
        batch_size: Most parts encoded at a time.
        chunk_tokens: Most tokens encoded at a time, padding included.
        pace: What is known of the model's speed.
        wait_seconds: For so long after a batch of several queries the next ones wait for each other, unless they fill a
            batch or passages wait too. Behind a query by itself nobody waits.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        executor: Executor,
        encode: Encode,
        *,
        split_query: Callable[[str], list[Part]],
        split_passage: Callable[[str], list[Part]],
        batch_size: int,
        chunk_tokens: int = CHUNK_TOKENS,
        pace: Pace | None = None,
        wait_seconds: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._executor = executor
        self._queries = Lane(split_query, eager=True)
        self._passages = Lane(split_passage, eager=False)
        self._work = Work(encode, batch_size=batch_size, chunk_tokens=chunk_tokens, clock=clock)
        self._batch_size = batch_size
        self._chunk_tokens = chunk_tokens
        self._pace = pace or Pace()
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._requests = 0
        self._hold_until = 0.0
        self._hold: asyncio.TimerHandle | None = None
        self._running: tuple[Step, float] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def query(self, text: str) -> list[NDArray[np.float32]]:
        """The rows of a query's parts: float32 of shape (dimension,) each. Goes before every passage.

        Raises:
            EmbeddingError: It could not be encoded, or the batcher is closed.
        """
        return (await self._submit(self._queries, [text]))[0]

    async def passages(self, texts: Sequence[str]) -> list[list[NDArray[np.float32]]]:
        """The rows of each text's parts: float32 of shape (dimension,) each.

        Raises:
            EmbeddingError: One of the texts could not be encoded, or the batcher is closed.
        """
        return await self._submit(self._passages, texts) if texts else []

    async def close(self) -> None:
        """Refuses new calls and waits until those under way are finished. Idempotent."""
        self._closed = True
        self._end_hold()
        await self._idle.wait()

    def backlog_seconds(self) -> float:
        """How long a query that came now would wait before its batch starts, estimated; 0.0 when idle.

        What is left of the running step, and the batches that the queries before it fill. A step that takes
        longer than it should is expected to go on for as long again as it is late.
        """
        if self._running is None:
            return 0.0
        step, started = self._running
        chunk = self._chunk_estimate(step)
        left = abs(self._pace.seconds(chunk) - (self._clock() - started))
        waiting = self._queries.waiting()
        tokens, texts = sum(job.tokens for job in waiting), len(waiting)
        if step.lane is self._queries:
            tokens += max(0, step.tokens - chunk)
            texts += max(0, len(step.jobs) + len(step.pieces) - self._batch_size)
        batches = max(tokens / self._chunk_tokens, texts / self._batch_size)
        full = int(batches)
        return left + (full * self._pace.seconds(tokens / batches) if full else 0.0)

    def _chunk_estimate(self, step: Step) -> int:
        """Tokens of the chunk a step encodes: exact unless it has texts to split first."""
        if step.jobs:
            share = min(1.0, self._batch_size / (len(step.jobs) + len(step.pieces)))
            return min(int(step.tokens * share), self._chunk_tokens)
        chunk, _ = self._work.take(step, step.pieces)
        return len(chunk) * chunk[-1].part.tokens

    async def _submit(self, lane: Lane, texts: Sequence[str]) -> list[list[NDArray[np.float32]]]:
        if self._closed:
            raise EmbeddingError("the embedder is closed")
        request = Request(texts, self._loop.create_future(), self._requests)
        self._requests += 1
        lane.queue.extend(request.jobs)
        self._advance()
        return await request.future

    def _advance(self) -> None:
        """Gives the worker its next step if it has none."""
        while self._running is None and not self._holds():
            step = self._queries.next_step() or self._passages.next_step()
            if step is None:
                self._idle.set()
                return
            try:
                self._executor.submit(self._work_and_tell, step)
            except RuntimeError as error:  # the executor was shut down under us, as at interpreter exit
                for request in step.requests:
                    request.fail(error)
                continue
            self._idle.clear()
            self._running = (step, self._clock())
            self._cancel_hold()

    def _holds(self) -> bool:
        """Whether the next batch of queries is put off for more of them."""
        waiting = len(self._queries.waiting())
        left = self._hold_until - self._clock()
        if left <= 0 or not 0 < waiting + len(self._queries.pieces) < self._batch_size or self._passages.has_work:
            return False
        self._idle.clear()
        if self._hold is None:
            self._hold = self._loop.call_later(left, self._end_hold)
        return True

    def _end_hold(self) -> None:
        self._hold_until = 0.0
        if self._cancel_hold():
            self._advance()

    def _cancel_hold(self) -> bool:
        """Whether there was one."""
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.cancel()
        return hold is not None

    def _work_and_tell(self, step: Step) -> None:
        """Runs on the worker thread. Tells the loop itself: a future's callbacks would be two more of its turns."""
        outcome: Outcome | BaseException
        try:
            outcome = self._work(step)
        except BaseException as error:  # noqa: BLE001 -- becomes the EmbeddingError of everyone in the step
            outcome = error
        with suppress(RuntimeError):  # the loop was closed, so nobody waits
            self._loop.call_soon_threadsafe(self._finished, step, outcome)

    def _finished(self, step: Step, outcome: Outcome | BaseException) -> None:
        """Hands out what the worker made and gives it its next step."""
        self._running = None
        if self._wait_seconds and not self._closed and step.lane is self._queries and len(step.requests) > 1:
            self._hold_until = self._clock() + self._wait_seconds
        if isinstance(outcome, Outcome):
            self._hand_out(step.lane, outcome)
        else:
            for request in step.requests:
                request.fail(outcome)
        self._advance()

    def _hand_out(self, lane: Lane, outcome: Outcome) -> None:
        if outcome.tokens:
            self._pace.observe(outcome.tokens, outcome.seconds)
        lane.pieces = outcome.rest
        for request, reason in outcome.failed:
            request.fail(reason)
        for job, parts in outcome.split:
            job.request.expect(parts)
        for piece, row in outcome.rows:
            piece.job.request.put(piece.job.index, piece.position, row)
