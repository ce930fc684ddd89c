"""What a worker does between its start and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router_memory.config.headers import is_loopback
from router_memory.errors import RouterMemoryError
from router_memory.serving.channel import Channel, ChannelClosed, Handler
from router_memory.serving.material import Material

if TYPE_CHECKING:
    import socket

    from router_memory.config import Config
    from router_memory.service import Service
    from router_memory.serving.server import Server

__all__ = ["Life", "event_loop"]

_log = logging.getLogger("router_memory.serving")

_QUEUE_SHARE = 0.5
"""Most of the time for draining that is kept back for the write queue."""
_ALARM_SECONDS = 2.0
"""Beyond that time the kernel ends the process, whatever it hangs in; the parent would a second later."""
_NOTICE_SECONDS = 1.0
_MODEL_LOGGER = "router_memory.bert"


def event_loop() -> asyncio.AbstractEventLoop:
    """Uvloop's where it is installed, which it is not everywhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Life:
    """One worker.

    Args:
        index: Its place among the workers.
        listeners: Sockets to accept on.
    """

    def __init__(self, index: int, listeners: Sequence[socket.socket]) -> None:
        self._index = index
        self._listeners = list(listeners)
        self._generation = 0
        self._metrics: Path | None = None
        self._prepared: Material | None = None
        self._preparing = asyncio.Lock()
        self._abandoned = 0
        self._config: Config | None = None
        self._service: Service | None = None
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._until = 0.0
        self._done = asyncio.Event()
        self._around = AsyncExitStack()

    async def run(self, control: socket.socket) -> int:
        """Does what the parent asks for until the end. Returns the exit code."""
        handlers: dict[str, Handler] = {
            "open": self._open,
            "serve": self._serve,
            "prepare": self._prepare,
            "commit": self._commit,
            "abandon": self._abandon,
            "drain": self._drain,
            "topic": self._topic,
            "ping": self._ping,
        }
        self._channel = channel = await Channel.over(control, handlers)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._begin_to_end)
        listening = asyncio.create_task(channel.run(), name="router-memory-control")
        ending = asyncio.create_task(self._done.wait())
        await asyncio.wait([listening, ending], return_when=asyncio.FIRST_COMPLETED)
        orphaned = listening.done() and not self._done.is_set()
        if orphaned:
            _log.error("the parent process is gone: ending")
            self._begin_to_end()
        await self._end()
        if orphaned and self._metrics is not None:  # which the parent did not live to do
            shutil.rmtree(self._metrics, ignore_errors=True)
        return 0

    # -- what the parent asks

    async def _open(self, material: dict[str, Any], metrics: str) -> None:
        """Opens the store and the model, and puts the application together."""
        from router_memory.service import Service
        from router_memory.serving.application import application
        from router_memory.serving.through_parent import ThroughParent
        from router_memory.telemetry import Telemetry, configure_logging

        taken = Material.revived(material)
        config = self._config = taken.load()
        settings = config.memory.service.telemetry
        configure_logging(settings.log_format, access_log=settings.access_log)
        folder = self._metrics = Path(metrics)
        telemetry = Telemetry(folder=folder, log_format=settings.log_format, tracing=settings.tracing)
        self._around.push_async_callback(telemetry.close)
        service = self._service = Service(config, telemetry=telemetry, bound=self._bound())
        service.colleagues = ThroughParent(self._channel)
        with _Relay(self._channel):
            await service.open()
        self._generation = taken.generation
        self._app = application(service, worker=self._index)

    async def _serve(self) -> None:
        """Begins to accept connections."""
        from router_memory.serving.server import Server

        server = self._server = Server(self._app)
        self._serving = asyncio.create_task(server.serve(sockets=self._listeners), name="router-memory-http")
        accepting = asyncio.create_task(server.accepting.wait())
        await asyncio.wait([accepting, self._serving], return_when=asyncio.FIRST_COMPLETED)
        if not server.accepting.is_set():
            raise RouterMemoryError("the server did not start; the log says why")

    async def _prepare(self, material: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
        """Opens a configuration; `first` is the one that the service, not this process, was started with."""
        from router_memory.service.changes import changes, needs_restart

        service, taken, abandoned = self._opened(), Material.revived(material), self._abandoned
        config = await asyncio.to_thread(taken.load)
        started_with = await asyncio.to_thread(Material.revived(first).load)
        # The parent may have given one up that is still being opened, and come with another.
        async with self._preparing:
            await service.prepare(config)
            if self._abandoned != abandoned:
                await service.abandon()
                raise ChannelClosed("given up meanwhile")
            self._prepared = taken
        waiting = needs_restart(changes(started_with, config))
        return {"changed": changes(service.config, config), "needs_restart": waiting, "warnings": config.warnings}

    async def _commit(self, generation: int) -> None:
        if self._prepared is None or self._prepared.generation != generation:
            raise RouterMemoryError(f"configuration {generation} was not prepared")
        service = self._opened()
        await service.commit()
        self._config, self._generation, self._prepared = service.config, generation, None

    async def _abandon(self) -> None:
        self._prepared = None
        self._abandoned += 1
        await self._opened().abandon()

    async def _topic(self, topic: str) -> dict[str, Any]:
        service = self._opened()
        if topic == "warnings":
            return {"warnings": service.generation.memory.warnings}
        answer = service.answers.get(topic)
        said = {} if answer is None else dict(await answer())
        return {"worker": self._index, "pid": os.getpid(), "configuration": self._generation, **said}

    async def _ping(self) -> None:
        pass

    async def _drain(self, seconds: float) -> None:
        self._begin_to_end(seconds)

    # -- the end

    def _bound(self) -> str | None:
        """The address that is listened on; of several one that others than this machine reach, if there is one."""
        hosts = [str(listener.getsockname()[0]) for listener in self._listeners]
        return next((host for host in hosts if not is_loopback(host)), next(iter(hosts), None))

    def _opened(self) -> Service:
        if self._service is None or self._done.is_set():
            raise ChannelClosed("this worker is ending" if self._done.is_set() else "this worker is not open yet")
        return self._service

    def _begin_to_end(self, seconds: float | None = None) -> None:
        """Stops accepting, gives requests their time, and has the kernel see to it that there is an end."""
        if self._done.is_set():
            return
        if seconds is None:
            seconds = 0.0 if self._config is None else self._config.memory.service.drain_seconds
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + _ALARM_SECONDS)
        self._until = asyncio.get_running_loop().time() + seconds
        if self._service is not None:
            self._service.draining = True
            self._service.telemetry.timeline.note("draining", seconds=seconds)
        if self._server is not None:
            self._server.stop(seconds - self._for_the_queue(seconds))
        self._done.set()

    def _for_the_queue(self, seconds: float) -> float:
        """How much of the time is for turns that are accepted and not yet stored."""
        wanted = 0.0 if self._config is None else self._config.memory.write.drain_seconds
        return min(wanted, seconds * _QUEUE_SHARE)

    async def _end(self) -> None:
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        left = max(self._until - asyncio.get_running_loop().time(), 0.0)
        try:
            async with asyncio.timeout(left + _ALARM_SECONDS / 2):
                if self._service is not None:
                    await self._store_turns(self._service, left)
                    await self._service.close(max(self._until - asyncio.get_running_loop().time(), 0.0))
                await self._around.aclose()
        except TimeoutError:
            _log.warning("closing took longer than there was time for")
        except Exception:  # noqa: BLE001 - whatever fails here, the process is to end, and in time
            _log.exception("closing failed")
        self._channel.close()

    async def _store_turns(self, service: Service, seconds: float) -> None:
        """Waits for the write queue: closing alone would give it ``write.drain_seconds`` and no more."""
        if not service.opened:
            return
        with suppress(TimeoutError, RouterMemoryError):
            async with asyncio.timeout(seconds):
                await service.generation.memory.drain()


class _Relay(logging.Handler):
    """Passes on what the model warns of while it is loaded: that it is exported first, which takes a while."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> None:
        logging.getLogger(_MODEL_LOGGER).addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger(_MODEL_LOGGER).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`; called on any thread."""
        self._loop.call_soon_threadsafe(self._pass_on, record.getMessage())

    def _pass_on(self, text: str) -> None:
        async def tell() -> None:
            await asyncio.gather(self._channel.ask("notice", within=_NOTICE_SECONDS, text=text), return_exceptions=True)

        task = asyncio.create_task(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
