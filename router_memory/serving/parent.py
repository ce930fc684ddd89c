"""The parent process: starts workers, keeps them up, has them reload, and ends them in order."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router_memory.errors import RouterMemoryError
from router_memory.serving import reload
from router_memory.serving.backoff import TRIES
from router_memory.serving.channel import ChannelClosed, Handler
from router_memory.serving.hand import Hand, Stage
from router_memory.serving.material import Material
from router_memory.serving.pulse import watch
from router_memory.serving.seats import Seat, Tempo
from router_memory.telemetry import Timeline, counted_timeline, empty_folder, mark_process_dead

if TYPE_CHECKING:
    import socket

    from router_memory.config import Config

__all__ = ["WORKER", "Parent"]

WORKER = "router_memory.serving.worker"
"""The module that a worker process runs."""

_log = logging.getLogger("router_memory.serving")


class Parent:
    """All processes of one service.

    Args:
        material: The configuration to begin with, found valid.
        config: It, loaded.
        listeners: Listening sockets. The parent closes them.
        say: Tells a person something.
        worker: Module of the worker process.
        tempo: How long it waits.
    """

    def __init__(
        self,
        material: Material,
        config: Config,
        listeners: Sequence[socket.socket],
        *,
        say: Callable[[str], None],
        worker: str = WORKER,
        tempo: Tempo | None = None,
    ) -> None:
        self._material = self._first = material
        self._config = config
        self._listeners = list(listeners)
        self._say = say
        self._module = worker
        self._tempo = tempo or Tempo()
        self._seats = [Seat(index) for index in range(config.memory.service.workers)]
        self._changing = asyncio.Lock()
        self._ending = asyncio.Event()
        self._full = asyncio.Event()
        self._cut_off = False
        self._announced = False
        self._failure: RouterMemoryError | None = None
        self._began = datetime.now(UTC)
        self._timeline = Timeline()
        self._notices: set[str] = set()
        self._reloads: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Handler] = {"reload": self.reload, "gather": self.gather, "notice": self._notice}

    async def run(self, announce: Callable[[Sequence[str]], None]) -> int:
        """Serves until told to end.

        Args:
            announce: Called once all workers serve, with what the configuration warns of.

        Returns:
            0 when all that was accepted is done, 1 when something had to be cut off.

        Raises:
            RouterMemoryError: The service could not start, or no worker can be kept up.
        """
        folder = Path(tempfile.mkdtemp(prefix="router-memory-metrics-"))
        empty_folder(folder)
        self._timeline = counted_timeline(folder)
        self._watch_signals()
        try:
            keeping = [asyncio.create_task(self._keep(seat, folder)) for seat in self._seats]
            announcing = asyncio.create_task(self._announce(announce))
            pinging = asyncio.create_task(watch(self._serving, every=self._tempo.ping, silences=self._tempo.silences))
            await self._ending.wait()
            announcing.cancel()
            pinging.cancel()
            code = await self._end(keeping)
        finally:
            for listener in self._listeners:
                listener.close()
            shutil.rmtree(folder, ignore_errors=True)
        if self._failure is not None:
            raise self._failure
        return code

    async def reload(self) -> dict[str, Any]:
        """Reads the configuration anew and has every worker take it, or none.

        Returns:
            The fields of a `ReloadResult`.

        Raises:
            ConfigError: It is wrong.
            RouterMemoryError: A worker cannot open it, or the service is ending. Every worker goes on as before.
        """
        async with self._changing:
            try:
                return await self._reload()
            except RouterMemoryError as error:
                _log.warning("the configuration was not loaded anew, the old one stays: %s", error)
                self._timeline.note("reload_refused", reason=type(error).__name__)
                raise

    async def gather(self, topic: str) -> list[Mapping[str, Any]]:
        """What every worker has to say on a topic, and the parent's own part."""
        asked = [worker.ask("topic", within=self._tempo.gather, topic=topic) for worker in self._serving()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return [*(answer for answer in answers if isinstance(answer, Mapping)), *self._own(topic)]

    # -- one worker after the other

    async def _keep(self, seat: Seat, folder: Path) -> None:
        """Keeps a worker on a seat until the service ends."""
        while not self._ending.is_set():
            problem: RouterMemoryError | None = None
            try:
                hand = seat.hand = await Hand.start(seat.index, self._module, self._listeners, self._handlers)
            except OSError as error:
                problem, served, how = RouterMemoryError(f"no worker can be started: {error}"), None, ""
            else:
                problem = await self._bring_up(hand, folder)
                code = await hand.gone()
                served = None if hand.served_at is None else asyncio.get_running_loop().time() - hand.served_at
                how = hand.ended_how(code)
                self._cut_off |= served is not None and code != 0 and self._ending.is_set()
                mark_process_dead(folder, hand.pid)
                seat.hand = None
            if not self._ending.is_set():
                await self._lost(seat, problem, how, served)

    async def _bring_up(self, hand: Hand, metrics: Path) -> RouterMemoryError | None:
        """Has a new worker open the configuration and accept requests; gives why it could not."""
        try:
            if self._ending.is_set():
                raise ChannelClosed("the service is ending")
            material = self._material
            await hand.ask("open", within=self._tempo.start, material=material.carried(), metrics=str(metrics))
            hand.generation = material.generation
            async with self._changing:  # so that it takes part in every reload from here on
                if hand.generation != self._material.generation:
                    await reload.prepare([hand], self._material, self._first)
                    await reload.commit([hand], self._material)
                await hand.ask("serve", within=self._tempo.serve)
                hand.served_at = asyncio.get_running_loop().time()
                if hand.stage is Stage.STARTING and not self._ending.is_set():
                    hand.stage = Stage.SERVING
                if len(self._serving()) == len(self._seats):
                    self._full.set()
        except RouterMemoryError as error:
            hand.kill()
            return error
        self._timeline.note("worker_started", worker=hand.index, pid=hand.pid)
        if self._announced:
            _log.info("worker %d serves again, process %d", hand.index, hand.pid)
        return None

    async def _lost(self, seat: Seat, problem: RouterMemoryError | None, how: str, served: float | None) -> None:
        """What follows the end of a worker that nobody told to end."""
        told = problem is not None and not isinstance(problem, ChannelClosed)
        why = str(problem) if told else f"a worker ended at its start: {how}; see the log above"
        if not self._announced:  # a wrong model or configuration fails again however often it is tried
            self._give_up(problem if told and problem is not None else RouterMemoryError(why))
            return
        pause = seat.backoff.pause(served)
        seat.restarts += 1
        said = why if served is None else how
        _log.error("worker %d is gone (%s); another one follows in %.1f s", seat.index, said, pause)
        self._timeline.note("worker_died", worker=seat.index, how=how, pause_seconds=pause)
        if seat.backoff.failures >= TRIES and not self._serving():
            self._give_up(problem if told and problem is not None else RouterMemoryError(why))
            return
        try:
            async with asyncio.timeout(pause):
                await self._ending.wait()
        except TimeoutError:
            pass

    def _give_up(self, failure: RouterMemoryError) -> None:
        if self._failure is None:
            self._failure = failure
        self._ending.set()

    # -- all of them

    def _serving(self) -> list[Hand]:
        hands = [seat.hand for seat in self._seats]
        return [hand for hand in hands if hand is not None and hand.stage is Stage.SERVING]

    async def _announce(self, announce: Callable[[Sequence[str]], None]) -> None:
        await self._full.wait()
        self._announced = True
        self._timeline.note("started", workers=len(self._seats))
        _log.info("every worker serves, %d in all", len(self._seats))
        warnings: Sequence[str] = self._config.warnings
        for answer in await self.gather("warnings"):
            warnings = answer.get("warnings", warnings)
            break
        announce(warnings)

    async def _reload(self) -> dict[str, Any]:
        if self._ending.is_set():
            raise RouterMemoryError("the service is ending")
        number, before = self._material.generation + 1, self._material
        material = await asyncio.to_thread(Material.read, number, before.file, before.overrides)
        config = await asyncio.to_thread(material.load)
        workers = self._serving()
        if not workers:
            raise RouterMemoryError("no worker serves now that could try the configuration; try again")
        found = await reload.prepare(workers, material, self._first)
        self._material, self._config = material, config  # what a worker that dies now is replaced with
        took = await reload.commit(workers, material)
        changed = ", ".join(found["changed"]) or "nothing"
        _log.info("configuration %d is served, by workers: %d; changed: %s", number, took, changed)
        self._timeline.note("reloaded", generation=number, workers=took, changed=found["changed"])
        return {"generation": number, "workers": took, **found}

    def _own(self, topic: str) -> list[Mapping[str, Any]]:
        if topic == "events":
            return [{"worker": None, "events": self._timeline.recent(500)}]
        if topic != "state":
            return []
        seats = [seat.described() for seat in self._seats]
        return [{"parent": True, "started_at": self._began.isoformat(), "seats": seats}]

    async def _notice(self, text: str) -> None:
        """A worker has something to tell a person while it starts; all of them have the same."""
        if text not in self._notices and len(self._notices) < len(self._seats) * 4:
            self._notices.add(text)
            self._say(text)

    # -- the end

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_end)
        loop.add_signal_handler(signal.SIGHUP, self._told_to_reload)

    def _told_to_end(self) -> None:
        if not self._ending.is_set():
            self._ending.set()
            return
        self._cut_off = True
        for seat in self._seats:
            if seat.hand is not None:
                seat.hand.kill()

    def _told_to_reload(self) -> None:
        async def quietly() -> None:
            await asyncio.gather(self.reload(), return_exceptions=True)  # it has been logged

        task = asyncio.create_task(quietly())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _end(self, keeping: Sequence[asyncio.Task[None]]) -> int:
        """Ends every worker in order, those that take too long at once."""
        for listener in self._listeners:  # the last copies close with the workers'
            listener.close()
        seconds = self._config.memory.service.drain_seconds
        if self._announced and self._failure is None:
            _log.info("ending: requests under way have %.0f s", seconds)
        draining = []
        for hand in [seat.hand for seat in self._seats if seat.hand is not None]:
            if hand.stage is Stage.SERVING:
                draining.append(asyncio.create_task(hand.drain(seconds)))
            else:
                hand.kill()  # it has accepted nothing
        _, late = await asyncio.wait(keeping, timeout=seconds + self._tempo.kill)
        for seat in self._seats:
            if seat.hand is not None:
                seat.hand.kill()
        await asyncio.gather(*keeping, *draining, return_exceptions=True)
        if late:
            _log.error("%d workers did not end in time and were killed", len(late))
        return 1 if late or self._cut_off else 0
