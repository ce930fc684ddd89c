"""What lives from one opening of a connection to its closing: the lanes, and the calls under way on them."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.client import Client, join
from router_memory.backends.valkey.deadline import Deadlines
from router_memory.backends.valkey.lane import Lane
from router_memory.backends.valkey.translate import NotPrimary, SearchTimeout, Unreachable, translated, translating
from router_memory.errors import BackendError, BackendTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from router_memory.backends.valkey.client import Reply
    from router_memory.backends.valkey.settings import Settings

__all__ = ["Opening"]


class Opening:
    """The lanes of one event loop and one process: one for control, the others for searches.

    Args:
        settings: Of the clients.
        control: Its lane for everything but searches.
        searches: Its lanes for searches; none for a connection that is never asked for one.

    Attributes:
        closed: Whether `close` was called.
        loop: The event loop it belongs to.
        pid: The process it belongs to.
    """

    def __init__(self, settings: Settings, control: Lane, searches: Sequence[Lane]) -> None:
        self.closed = False
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self._location = settings.location
        self._timeout = settings.timeout
        self._errors = _errors()
        self._control = control
        self._searches = searches
        control.on_silence = self._doubt_searches
        self._deadlines = Deadlines()
        self._ended = asyncio.Event()
        self._closing: asyncio.Future[None] | None = None

    @classmethod
    async def make(cls, settings: Settings, searches: int) -> Opening:
        """One with so many lanes for searches. Nothing is sent, so an unreachable server is no error here.

        Raises:
            BackendError: glide refuses the settings, or the process has no means for so many clients.
        """
        lanes: list[Lane] = []
        try:
            with translating("open", settings.location):
                for each in (settings.on_primaries(), *[settings] * searches):
                    lanes.append(Lane(each, await Client.create(each)))  # noqa: PERF401  # those made are closed on an error
        except BaseException:
            for lane in lanes:
                lane.close()
            raise
        return cls(settings, lanes[0], lanes[1:])

    def lane(self, *, search: bool) -> Lane:
        """The one for control, or the one for searches with the least to do."""
        return min(self._searches, key=lambda lane: lane.busy) if search else self._control

    async def call(
        self,
        lane: Lane,
        operation: str,
        send: Callable[[Client], Coroutine[Any, Any, Reply]],
        key: str | None,
        limit: float,
    ) -> Reply:
        """What `send` gives on the lane's client, in time or not at all.

        Args:
            lane: Which.
            operation: What is being done, for errors.
            send: Sends something.
            key: On a cluster, the node of this key is asked again when it does not answer; without one any.
            limit: Seconds.

        Raises:
            BackendError: See `translating`; any when it was closed meanwhile.
        """
        deadline = self._deadlines.begin(limit)
        lane.busy += 1
        client: Client | None = None
        try:
            client = lane.at_hand()
            if client is None:
                client = await deadline.keep(lane.ready(operation))
            client.calls.add(deadline)
            return await deadline.keep(send(client))
        except self._errors as error:
            found = translated(error, operation, self._location)
            if client is None or lane.uses(client):  # else it is about a client that has been replaced already
                self.consider(lane, found, key, limit)
            if found is error:
                raise
            raise found from error
        finally:
            if client is not None:
                client.calls.discard(deadline)
            self._deadlines.over(deadline)
            self._ended.set()
            lane.busy -= 1

    def consider(self, lane: Lane, reply: object, key: str | None, limit: float) -> None:
        """Has every client that is in use asked again after an error of the connection: a black hole swallows all.

        A call that misses a deadline shorter than the connection's says little: the server may be slow, and searches
        wait for each other. Its lane is given the time that a busy one needs. After a search the control client is
        asked at once, which waits for none of them.

        Args:
            lane: The lane of the reply.
            reply: A reply, or an error.
            key: As of `call`.
            limit: As of `call`.
        """
        if self.closed or not isinstance(reply, (BackendTimeout, Unreachable, NotPrimary)):
            return
        if isinstance(reply, SearchTimeout):
            return
        if isinstance(reply, NotPrimary):
            lane.outdate()
        hurried = isinstance(reply, BackendTimeout) and limit < self._timeout
        if hurried:
            lane.doubt(key, patient=True)
        else:
            self._doubt_searches(key)
        if not hurried or lane is not self._control:
            self._control.doubt(key)

    def _doubt_searches(self, key: str | None) -> None:
        for lane in self._searches:
            lane.doubt(key)

    async def close(self) -> None:
        """Ends what is under way and closes every client, without waiting for the server.

        Goes on by itself when the caller is cancelled.
        """
        self.closed = True
        if self.pid != os.getpid():  # a child may not touch what its parent has opened
            return
        here = asyncio.get_running_loop()
        if self.loop is not here and self.loop.is_running():  # its calls can be ended there only
            self._closing = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._close(), self.loop))
        else:
            self._closing = here.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            if self.loop is asyncio.get_running_loop():  # else it runs no longer, and nothing is under way
                await self._end_calls()
        finally:
            self._deadlines.close()
            closings = [thread for lane in (self._control, *self._searches) for thread in lane.close()]
        await asyncio.to_thread(join, closings)

    async def _end_calls(self) -> None:
        races = [race for lane in (self._control, *self._searches) if (race := lane.stop()) is not None]
        self._deadlines.end()
        if races:
            await asyncio.wait(races)
        while len(self._deadlines):
            self._ended.clear()
            await self._ended.wait()


def _errors() -> tuple[type[Exception], ...]:
    """What a call may raise: ours, asyncio's and glide's."""
    from glide import GlideError

    return (BackendError, TimeoutError, GlideError)
