"""`Service`: what the interfaces of one process stand on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from router_memory.config import Config
from router_memory.errors import BackendUnavailable, ConfigError
from router_memory.identity import Authenticator
from router_memory.memory import MemoryPlugin
from router_memory.service.changes import changes, check_exposure, needs_restart
from router_memory.service.colleagues import Alone, Answer, Colleagues, ReloadResult
from router_memory.service.generation import Generation
from router_memory.telemetry import Telemetry

__all__ = ["Service"]

_log = logging.getLogger("router_memory.service")

OpenMemory = Callable[[Config], MemoryPlugin]
"""Makes the memory of a configuration, not entered yet."""

Load = Callable[[], Config]
"""Reads the configuration anew."""

_T = TypeVar("_T")


class Service:
    """Memory as one process serves it, and the change from one configuration to the next.

    A request takes a lease on the current `Generation` and does all its work with that one, so a reload in the middle
    changes nothing for it. A generation that was replaced is closed, and its queued turns are written, when its last
    lease has ended. One event loop owns an instance.

    Args:
        config: The configuration to begin with.
        telemetry: Where the interfaces report to.
        load: Reads the configuration anew, for `reload` in a process of its own; ``None`` if that cannot be.
        open_memory: Makes the memory of a configuration.
        bound: Address that is listened on; ``None`` for that of the first configuration. It outlives reloads.
    """

    def __init__(
        self,
        config: Config,
        *,
        telemetry: Telemetry,
        load: Load | None = None,
        open_memory: OpenMemory | None = None,
        bound: str | None = None,
    ) -> None:
        self.telemetry = telemetry
        self.draining = False
        self.answers: dict[str, Answer] = {}
        """This process's part of each topic of `Colleagues.gather`; interfaces add theirs."""
        self.colleagues: Colleagues = Alone(self.answers, self._reload_alone)
        self._config = config
        self._bound = config.memory.service.host if bound is None else bound
        self._load = load
        self._open_memory = open_memory or MemoryPlugin.open
        self._current: Generation | None = None
        self._next: Generation | None = None
        self._count = 0
        self._retiring: set[asyncio.Task[None]] = set()
        self._patience: set[asyncio.Timeout] = set()

    @property
    def generation(self) -> Generation:
        """The current one.

        Raises:
            BackendUnavailable: The service is not open.
        """
        if self._current is None:
            raise BackendUnavailable("not open", backend="memory", operation="serve")
        return self._current

    @property
    def config(self) -> Config:
        """The configuration that is served, or will be once the service is open."""
        return self._config if self._current is None else self._current.config

    @property
    def opened(self) -> bool:
        """Whether there is a current generation."""
        return self._current is not None

    async def open(self) -> None:
        """Opens the first generation: the model is loaded, the store is opened.

        Raises:
            ConfigError, EmbeddingError, BackendError, MissingExtra: See `MemoryPlugin`.
        """
        if self._current is None:
            await self.prepare(self._config)
            await self.commit()

    async def close(self, seconds: float) -> None:
        """Waits for at most `seconds` for the leases that are out, writes what is queued and releases everything."""
        self.draining = True
        current, self._current = self._current, None
        await self.abandon()
        self._hurry(seconds)
        if current is not None:
            self._retire(current, seconds)
        if self._retiring:
            await asyncio.gather(*self._retiring, return_exceptions=True)

    @contextmanager
    def lease(self) -> Iterator[Generation]:
        """The current generation, kept open until the context ends.

        Raises:
            BackendUnavailable: The service is not open.
        """
        generation = self.generation
        generation.take()
        try:
            yield generation
        finally:
            generation.leave()

    def resource(
        self, generation: Generation, name: str, make: Callable[[Config], _T], close: Callable[[_T], Awaitable[None]]
    ) -> _T:
        """What an interface keeps for a generation, such as a pool of connections; made by its first use.

        It is closed when the generation is.
        """
        kept = generation.resources.get(name)
        if kept is None:
            made = make(generation.config)
            kept = generation.resources[name] = (made, partial(close, made))
        return kept[0]  # type: ignore[return-value]  # what `make` gave under this name

    async def prepare(self, config: Config) -> None:
        """Opens what a configuration asks for beside the current one, which goes on serving.

        Raises:
            ConfigError, EmbeddingError, BackendError, MissingExtra: It cannot be served; nothing has changed.
        """
        await self.abandon()
        if self._current is not None:
            check_exposure(self._current.config, config, bound=self._bound)
        authenticator = Authenticator.of(config, host=self._bound)
        memory = self._open_memory(config)
        await memory.__aenter__()
        self._next = Generation(self._count + 1, config, memory, authenticator, datetime.now(UTC))

    async def commit(self) -> None:
        """Serves what was prepared from now on; the one before is closed when nobody uses it any more."""
        if self._next is None:
            return
        before, self._current, self._next = self._current, self._next, None
        self._count = self._current.number
        self.telemetry.watch(self._current.memory)
        if before is not None:
            service = before.config.memory.service  # a chat may take as long as its upstream is waited for
            self._retire(before, max(service.drain_seconds, service.upstream.timeout))

    async def abandon(self) -> None:
        """Closes what was prepared and never served."""
        prepared, self._next = self._next, None
        if prepared is not None:
            await prepared.memory.close()

    def _retire(self, generation: Generation, seconds: float) -> None:
        task = asyncio.create_task(self._end(generation, seconds), name="router-memory-retire")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _hurry(self, seconds: float) -> None:
        """Waits no longer than that for the requests of earlier configurations."""
        until = asyncio.get_running_loop().time() + seconds
        for patience in self._patience:
            if not patience.expired() and (patience.when() or 0.0) > until:
                patience.reschedule(until)

    async def _end(self, generation: Generation, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds) as patience:
                self._patience.add(patience)
                try:
                    await generation.idle()
                finally:
                    self._patience.discard(patience)
        except TimeoutError:
            _log.warning("%d requests of an earlier configuration still run after %.0f s", generation.users, seconds)
        try:
            for _, close in generation.resources.values():
                await close()
        finally:
            await generation.memory.close()

    async def _reload_alone(self) -> ReloadResult:
        if self._load is None:
            raise ConfigError("there is no file to load anew")
        before, config = self.generation.config, await asyncio.to_thread(self._load)
        await self.prepare(config)
        await self.commit()
        waiting = needs_restart(changes(self._config, config))
        return ReloadResult(self._count, changes(before, config), waiting, self.generation.memory.warnings, 1)
