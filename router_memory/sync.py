"""`SyncMemory`: the same product for synchronous callers, over one background event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from router_memory.errors import BackendUnavailable, InvalidRequest, RouterMemoryError, SyncCallInLoop
from router_memory.memory import MemoryPlugin
from router_memory.pipeline.transfer import BATCH
from router_memory.plugin.writes import Receipt
from router_memory.types import (
    CacheServerStats,
    CacheStats,
    Finding,
    Hit,
    MemoryRecord,
    MemoryType,
    Message,
    Outcome,
    Page,
    Recollection,
    Restored,
    Scope,
    StoreStats,
    Turn,
    WriteResult,
)

__all__ = ["SyncMemory", "SyncReceipt"]

_T = TypeVar("_T")


class _LoopThread(threading.Thread):
    """A daemon thread that runs one event loop until it is stopped."""

    def __init__(self) -> None:
        super().__init__(name="router-memory-loop", daemon=True)
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._ready.set)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self._end_calls())
            self.loop.close()

    async def _end_calls(self) -> None:
        """Cancels what other threads still wait for, so that none waits for ever."""
        calls = asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()

    def start(self) -> None:
        super().start()
        self._ready.wait()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()


class SyncReceipt:
    """A receipt that blocks in `wait`."""

    def __init__(self, receipt: Receipt, owner: SyncMemory) -> None:
        self._receipt = receipt
        self._owner = owner

    @property
    def done(self) -> bool:
        """Whether the results are final."""
        return self._receipt.done

    @property
    def results(self) -> tuple[WriteResult, ...]:
        """The results so far; empty until `done`."""
        return self._receipt.results

    def __repr__(self) -> str:
        return f"Sync{self._receipt!r}"

    def wait(self) -> tuple[WriteResult, ...]:
        """The results, once they are final."""
        return self._owner._run("wait", self._receipt.wait())  # noqa: SLF001 - both halves of one facade


class SyncMemory:
    """`MemoryPlugin` with blocking methods.

        with SyncMemory.open("config/config.yaml") as memory:
            hits = memory.search(Scope("u1"), "which seat?")

    Methods may be called from any thread without a running event loop; inside one they raise
    `SyncCallInLoop`, for they would stop that loop. Arguments, results and errors are those of
    `MemoryPlugin`.
    """

    def __init__(self, memory: MemoryPlugin) -> None:
        self._memory = memory
        self._thread: _LoopThread | None = None

    @classmethod
    def open(cls, config: str | Path | Mapping[str, Any] | None = None, *, warm: bool = True) -> SyncMemory:
        """See `MemoryPlugin.open`; to be entered with ``with``."""
        return cls(MemoryPlugin.open(config, warm=warm))

    def __enter__(self) -> Self:
        _refuse_in_loop("__enter__")
        self._thread = _LoopThread()
        self._thread.start()
        try:
            self._run("open", self._memory.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """See `MemoryPlugin.close`. Idempotent."""
        _refuse_in_loop("close")
        if self._thread is None:
            return
        try:
            self._run("close", self._memory.close())
        finally:
            self._stop()

    def on_request(
        self,
        *,
        decision: str | None,
        messages: Sequence[Message],
        user_id: str | None = None,
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        model: str | None = None,
        project: str | None = None,
        conversation_id: str | None = None,
        now: datetime | None = None,
    ) -> Outcome:
        """See `MemoryPlugin.on_request`."""
        call = self._memory.on_request(
            decision=decision,
            messages=messages,
            user_id=user_id,
            headers=headers,
            model=model,
            project=project,
            conversation_id=conversation_id,
            now=now,
        )
        return self._run("on_request", call)

    def on_response(self, outcome: Outcome, reply: str | Message | None) -> SyncReceipt:
        """See `MemoryPlugin.on_response`."""
        return SyncReceipt(self._run("on_response", self._memory.on_response(outcome, reply)), self)

    def drain(self) -> None:
        """See `MemoryPlugin.drain`."""
        self._run("drain", self._memory.drain())

    def add(self, scope: Scope, content: str, **options: Any) -> MemoryRecord:
        """See `MemoryPlugin.add`."""
        return self._run("add", self._memory.add(scope, content, **options))

    def remember(self, scope: Scope, conversation_id: str, turns: Sequence[Turn]) -> list[WriteResult]:
        """See `MemoryPlugin.remember`."""
        return self._run("remember", self._memory.remember(scope, conversation_id, turns))

    def search(self, scope: Scope, query: str, **options: Any) -> list[Hit]:
        """See `MemoryPlugin.search`."""
        return self._run("search", self._memory.search(scope, query, **options))

    def recollect(self, scope: Scope, query: str, **options: Any) -> Recollection:
        """See `MemoryPlugin.recollect`."""
        return self._run("recollect", self._memory.recollect(scope, query, **options))

    def get(self, scope: Scope, id: str) -> MemoryRecord | None:
        """See `MemoryPlugin.get`."""
        return self._run("get", self._memory.get(scope, id))

    def list(self, scope: Scope, **options: Any) -> Page:
        """See `MemoryPlugin.list`."""
        return self._run("list", self._memory.list(scope, **options))

    def update(self, scope: Scope, id: str, **changes: Any) -> MemoryRecord | None:
        """See `MemoryPlugin.update`."""
        return self._run("update", self._memory.update(scope, id, **changes))

    def forget(self, scope: Scope, *ids: str) -> int:
        """See `MemoryPlugin.forget`."""
        return self._run("forget", self._memory.forget(scope, *ids))

    def forget_scope(
        self, scope: Scope, *, types: Sequence[MemoryType | str] = (), older_than: datetime | None = None
    ) -> int:
        """See `MemoryPlugin.forget_scope`."""
        return self._run("forget_scope", self._memory.forget_scope(scope, types=types, older_than=older_than))

    def count(self, scope: Scope, *, types: Sequence[MemoryType | str] = ()) -> int:
        """See `MemoryPlugin.count`."""
        return self._run("count", self._memory.count(scope, types=types))

    def export(self, scope: Scope | None = None) -> Iterator[MemoryRecord]:
        """See `MemoryPlugin.export`."""
        return self._each(self._run("export", _begin(self._memory, scope)))

    def restore(self, records: Iterable[MemoryRecord]) -> Restored:
        """See `MemoryPlugin.restore`. Records are taken on the calling thread, so they may be an export's."""
        if not isinstance(records, Iterable):
            raise InvalidRequest(f"records must be iterable, not {type(records).__name__}", field="records")
        iterator, total, first = iter(records), Restored(), 1
        while True:
            batch = list(islice(iterator, BATCH))
            done = self._run("restore", self._memory._restore(batch, first=first))  # noqa: SLF001 - two halves again
            total = Restored(total.stored + done.stored, total.merged + done.merged)
            if len(batch) < BATCH:
                return total
            first += BATCH

    def _each(self, records: AsyncGenerator[MemoryRecord, None]) -> Iterator[MemoryRecord]:
        try:
            while batch := self._run("export", _take(records, BATCH)):
                yield from batch
        finally:
            with suppress(BackendUnavailable, SyncCallInLoop):  # closed meanwhile, which has ended it too
                self._run("export", records.aclose())

    def stats(self) -> StoreStats:
        """See `MemoryPlugin.stats`."""
        return self._run("stats", self._memory.stats())

    def ready(self, within: float) -> tuple[Finding, ...]:
        """See `MemoryPlugin.ready`."""
        return self._run("ready", self._memory.ready(within))

    def examine(self) -> tuple[Finding, ...]:
        """See `MemoryPlugin.examine`."""
        return self._run("examine", self._memory.examine())

    def cache_stats(self) -> CacheStats:
        """See `MemoryPlugin.cache_stats`."""
        return self._run("cache_stats", _called(self._memory.cache_stats))

    def cache_server_stats(self) -> CacheServerStats | None:
        """See `MemoryPlugin.cache_server_stats`."""
        return self._run("cache_server_stats", self._memory.cache_server_stats())

    def clear_cache(self, scope: Scope | None = None) -> int:
        """See `MemoryPlugin.clear_cache`."""
        return self._run("clear_cache", self._memory.clear_cache(scope))

    @property
    def counters(self) -> Mapping[str, int]:
        """See `MemoryPlugin.counters`."""
        return self._memory.counters

    @property
    def queue_depth(self) -> int:
        """See `MemoryPlugin.queue_depth`."""
        return self._memory.queue_depth

    def gauges(self) -> Mapping[str, float]:
        """See `MemoryPlugin.gauges`."""
        return self._run("gauges", _called(self._memory.gauges))

    @property
    def backend(self) -> str:
        """See `MemoryPlugin.backend`."""
        return self._memory.backend

    @property
    def decisions(self) -> tuple[str, ...]:
        """See `MemoryPlugin.decisions`."""
        return self._memory.decisions

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `MemoryPlugin.warnings`."""
        return self._memory.warnings

    def _run(self, method: str, call: Coroutine[Any, Any, _T]) -> _T:
        thread = self._thread
        try:
            _refuse_in_loop(method)
            if thread is None:
                raise _closed(method)
            future = asyncio.run_coroutine_threadsafe(call, thread.loop)
        except RuntimeError as error:
            call.close()
            if isinstance(error, RouterMemoryError):
                raise
            raise _closed(method) from error  # the loop ended between the check and the call
        except BaseException:
            call.close()
            raise
        try:
            return future.result()
        except CancelledError:
            raise _closed(method) from None
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()


async def _called(function: Callable[[], _T]) -> _T:
    """What a function gives that is to be called on the loop, where nothing changes meanwhile what it reads."""
    return function()


async def _begin(memory: MemoryPlugin, scope: Scope | None) -> AsyncGenerator[MemoryRecord, None]:
    return memory.export(scope)


async def _take(records: AsyncGenerator[MemoryRecord, None], most: int) -> list[MemoryRecord]:
    """The next records; none at the end."""
    taken: list[MemoryRecord] = []
    async for record in records:
        taken.append(record)
        if len(taken) == most:
            break
    return taken


def _closed(method: str) -> BackendUnavailable:
    hint = "use it inside `with SyncMemory.open(...)`"
    return BackendUnavailable("not open", backend="sync", operation=method, hint=hint)


def _refuse_in_loop(method: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise SyncCallInLoop(
        f"SyncMemory.{method} would block the running event loop; use `await MemoryPlugin.{method}(...)` there"
    )
