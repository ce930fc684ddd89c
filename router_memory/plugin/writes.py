"""The write queue: accepted turns are stored in the background, each with a receipt."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from router_memory.errors import BackendTimeout, BackendUnavailable, RouterMemoryError
from router_memory.pipeline.remember import Remember
from router_memory.types import Scope, Turn, WriteResult, WriteStatus

__all__ = ["Receipt", "WriteQueue"]

_log = logging.getLogger("router_memory.writes")

RETRY_SECONDS = (0.1, 0.5, 2.0)
"""Pauses before the store is tried again when it does not answer; writing again is safe, ids are idempotent."""


MAX_WAITING_CHARS = 16 * 1024 * 1024
"""Most text waiting, in characters, whatever the number of turns."""


class Receipt:
    """Says what became of a turn handed to `on_response`.

    `done` turns true once `results` is final; `wait` waits for that.
    """

    __slots__ = ("_done", "results")

    def __init__(self, results: Sequence[WriteResult] = ()) -> None:
        self.results: tuple[WriteResult, ...] = tuple(results)
        self._done = asyncio.Event()
        if results:
            self._done.set()

    @property
    def done(self) -> bool:
        """Whether the results are final."""
        return self._done.is_set()

    @property
    def statuses(self) -> tuple[WriteStatus, ...]:
        """The status of each result."""
        return tuple(result.status for result in self.results)

    async def wait(self) -> tuple[WriteResult, ...]:
        """The results, once they are final."""
        await self._done.wait()
        return self.results

    def settle(self, results: Sequence[WriteResult]) -> None:
        """Makes the results final; the first call counts."""
        if not self.done:
            self.results = tuple(results)
            self._done.set()

    def __repr__(self) -> str:
        state = ", ".join(self.statuses) if self.done else "queued"
        return f"Receipt({state})"


@dataclass(frozen=True, slots=True)
class _Job:
    scope: Scope
    conversation_id: str
    turns: tuple[Turn, ...]
    skipped: tuple[str, ...] = ()
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def chars(self) -> int:
        return sum(len(turn.content) for turn in self.turns)


class WriteQueue:
    """A bounded queue in front of `Remember.turns` with one worker, which keeps turns in order.

    Args:
        remember: What stores a turn.
        size: Most turns waiting; one more is rejected at once.
        counters: Where the outcomes are counted, as ``write.<status>``.
    """

    def __init__(self, remember: Remember, *, size: int, counters: Counter[str]) -> None:
        self._remember = remember
        self._size = size
        self._counters = counters
        self._waiting: deque[_Job] = deque()
        self._waiting_chars = 0
        self._running: _Job | None = None
        self._wake = asyncio.Event()
        self._closed = False
        self._worker: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Number of turns waiting or being written."""
        return len(self._jobs())

    def submit(
        self, scope: Scope, conversation_id: str, turns: Sequence[Turn], *, skipped: Sequence[str] = ()
    ) -> Receipt:
        """Accepts turns to be stored, or rejects them when the queue is full or closed. Never waits.

        Args:
            skipped: Reasons of parts that are not among the turns; the receipt ends with them.
        """
        job = _Job(scope, conversation_id, tuple(turns), tuple(skipped))
        full = len(self._waiting) >= self._size or self._waiting_chars + job.chars > MAX_WAITING_CHARS
        if self._closed or full:
            self._settle(job, WriteStatus.REJECTED, "closed" if self._closed else "queue_full")
            return job.receipt
        self._waiting.append(job)
        self._waiting_chars += job.chars
        self._wake.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="router-memory-writes")
        return job.receipt

    async def drain(self, user_id: str | None = None) -> None:
        """Waits until the turns accepted so far, of one user or of all, have their final results."""
        for job in self._jobs():
            if user_id is None or job.scope.user_id == user_id:
                await job.receipt.wait()

    async def close(self, seconds: float) -> None:
        """Accepts no more, writes what is waiting for at most `seconds`, then settles the rest.

        A turn being written when the time is over is unknown, one that still waited is rejected. That
        holds as well when this call is cancelled.
        """
        self._closed = True
        try:
            async with asyncio.timeout(seconds):
                await self.drain()
        except TimeoutError:
            _log.warning("closing with %d turns not written after %.1f s", len(self), seconds)
        finally:
            if self._worker is not None:
                self._worker.cancel()
            if self._running is not None:
                self._settle(self._running, WriteStatus.UNKNOWN, "closed")
            for job in self._waiting:
                self._settle(job, WriteStatus.REJECTED, "closed")
            self._waiting.clear()
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)

    def _jobs(self) -> list[_Job]:
        running = [self._running] if self._running is not None else []
        return [*running, *self._waiting]

    def _settle(self, job: _Job, status: WriteStatus, reason: str) -> None:
        self._finish(job, [WriteResult(status, reason) for _ in job.turns])

    def _finish(self, job: _Job, results: Sequence[WriteResult]) -> None:
        if not job.receipt.done:
            job.receipt.settle([*results, *(WriteResult(WriteStatus.SKIPPED, reason) for reason in job.skipped)])
            self._counters.update(f"write.{result.status}" for result in job.receipt.results)

    async def _work(self) -> None:
        while True:
            while self._waiting:
                job = self._running = self._waiting.popleft()
                self._waiting_chars -= job.chars
                try:
                    await self._store(job)
                finally:
                    self._running = None
            self._wake.clear()
            await self._wake.wait()

    async def _store(self, job: _Job) -> None:
        """Stores one job; whatever happens its receipt is settled and the worker goes on."""
        for pause in (*RETRY_SECONDS, None):
            try:
                self._finish(job, await self._remember.turns(job.scope, job.conversation_id, job.turns))
            except BackendUnavailable as error:
                if pause is None or self._closed:
                    unknown = isinstance(error, BackendTimeout)
                    self._fail(job, WriteStatus.UNKNOWN if unknown else WriteStatus.FAILED, error)
                    return
                await asyncio.sleep(pause)
            except Exception as error:  # noqa: BLE001 - a defect must cost one turn, not the queue
                self._fail(job, WriteStatus.FAILED, error)
                return
            else:
                return

    def _fail(self, job: _Job, status: WriteStatus, error: Exception) -> None:
        expected = isinstance(error, RouterMemoryError)
        _log.warning("turn not written: %s", error if expected else type(error).__name__, exc_info=not expected)
        self._settle(job, status, f"{type(error).__name__}: {error}" if expected else type(error).__name__)
