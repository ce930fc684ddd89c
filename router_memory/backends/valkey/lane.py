"""A lane: the client its calls go through, and the race for another one when that no longer answers.

glide reconnects by itself when a connection is closed. It does not notice one that swallows packets, its first
connection is tried once per waiting command, and a standalone client keeps the primary it found at first. So a client
that missed a deadline is asked again, beside new ones; whoever answers first serves from then on. One that is replaced
lives until the calls on it have ended, and there are never more than a few clients to a lane: a server that is slow
because it has too much to do must not be given more connections to serve.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from router_memory.backends.valkey.client import Client
from router_memory.backends.valkey.translate import Unreachable, translated
from router_memory.errors import BackendTimeout

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from router_memory.backends.valkey.settings import Settings

__all__ = ["Lane"]

_log = logging.getLogger("router_memory.valkey")

_ECHO_SECONDS = 1.0
_FIRST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 0.8  # with the time a connection takes, below the second recovery may take
_PATIENCE_SECONDS = 0.5
"""How long a client may be silent that is thought to be busy."""
_SPARE = 2
"""Clients of a lane beside the one in use: those that race with it, and those replaced that calls still wait for."""
_RETIRED_SECONDS = 0.1


class Lane:
    """The client in use, and what is known about it.

    Args:
        settings: Of its clients.
        client: The first; nothing was sent through it yet.

    Attributes:
        busy: How many calls are under way on it; counted by its owner.
        on_silence: Called with the key that a race is about when the client did not answer at once.
    """

    def __init__(self, settings: Settings, client: Client) -> None:
        self.busy = 0
        self.on_silence: Callable[[str | None], None] | None = None
        self._settings = settings
        self._location = settings.location
        self._client = client
        self._settled = asyncio.Event()  # calls need not wait for the first connection
        self._failure: Exception | None = None  # why calls fail at once
        self._outdated = False  # the client must be replaced even though it answers
        self._recovery: asyncio.Task[None] | None = None
        self._patient_until = 0.0  # no client is made beside the silent one before
        self._retired: dict[Client, asyncio.TimerHandle] = {}

    async def ready(self, operation: str) -> Client:
        """The client, once it is known whether the server can be reached.

        Args:
            operation: What is being done, for errors.

        Raises:
            BackendError: It cannot.
        """
        if not self._settled.is_set() or self._failure is not None:
            self._recover(None)
        await self._settled.wait()
        if (
            self._failure is not None
        ):  # raised itself, it would collect the frames of every call for as long as it lasts
            raise translated(self._failure, operation, self._location) from self._failure
        return self._client

    def at_hand(self) -> Client | None:
        """The client, when the server was heard through it and nothing is known against it: `ready` without a wait."""
        return self._client if self._failure is None and self._settled.is_set() else None

    def outdate(self) -> None:
        """Says that the client is connected to the wrong node. On a cluster glide finds the right one by itself."""
        self._outdated = self._outdated or not self._settings.cluster

    def uses(self, client: Client) -> bool:
        """Whether a client is the one in use."""
        return client is self._client

    def doubt(self, key: str | None, *, patient: bool = False) -> None:
        """Has the client asked again whether it answers.

        Args:
            key: On a cluster, the node of this key is asked, or any.
            patient: Whether it may only be busy: it is given more time.
        """
        if self._client.answered:  # else it is being asked already
            self._recover(key, patient=patient)

    def stop(self) -> asyncio.Task[None] | None:
        """Ends the race if one is on: its task, which is being cancelled."""
        if self._recovery is None or self._recovery.done():
            return None
        self._recovery.cancel()
        return self._recovery

    def close(self) -> list[threading.Thread]:
        """Closes the clients; see `Client.close`. The race has ended, and so have the calls."""
        for timer in self._retired.values():
            timer.cancel()
        clients = [self._client, *self._retired]
        self._retired.clear()
        return [client.close() for client in clients]

    # -- the race

    def _recover(self, key: str | None, *, patient: bool = False) -> None:
        """Starts the race unless it is on; ends the patience of one that is."""
        idle = self._recovery is None or self._recovery.done()
        if not patient:
            self._patient_until = 0.0
        elif idle:
            self._patient_until = time.monotonic() + _PATIENCE_SECONDS
        if idle:
            self._recovery = asyncio.get_running_loop().create_task(self._race(key))

    async def _race(self, key: str | None) -> None:
        """Asks the client, and new ones beside it, until one answers; that one is the lane's from then on."""
        asked: dict[asyncio.Task[Exception | None], Client] = {}
        pause = _FIRST_RETRY_SECONDS
        began = time.monotonic()
        again = False
        try:
            while True:
                await self._ask_more(asked, key, again=again)
                winner = await self._answer(asked, pause)
                if winner is not None:
                    self._install(winner, time.monotonic() - began)
                    return
                if not again and self.on_silence is not None:
                    self.on_silence(key)
                if time.monotonic() >= self._patient_until:
                    again, pause = True, min(2 * pause, _LONGEST_RETRY_SECONDS)
        finally:
            for task, client in asked.items():
                task.cancel()
                if client is not self._client and client not in self._retired:
                    client.close()

    async def _ask_more(
        self, asked: dict[asyncio.Task[Exception | None], Client], key: str | None, *, again: bool
    ) -> None:
        """Asks the lane's client unless it is being asked, and `again` a new one unless there are enough of them."""
        clients = []
        if not self._outdated and self._client not in asked.values():
            clients.append(self._client)
        connected = self._client.answered or self._client in asked.values()  # else the lane's is as good as a new one
        if (self._outdated or (again and connected)) and self._has_room(asked):
            rival = await self._another()
            clients += [rival] if rival is not None else []
        for client in clients:
            asked[asyncio.get_running_loop().create_task(self._ask(client, key))] = client

    def _has_room(self, asked: dict[asyncio.Task[Exception | None], Client]) -> bool:
        """Whether there may be another client. The calls on the one that was replaced first are ended if not."""
        rivals = sum(client is not self._client for client in asked.values())
        if rivals + len(self._retired) < _SPARE:
            return True
        if not rivals:
            next(iter(self._retired)).end_calls()
        return False

    async def _ask(self, client: Client, key: str | None) -> Exception | None:
        """Why the server was not heard through the client; None if it was."""
        from glide import GlideError

        limit = 2 * self._settings.connect_seconds + min(self._settings.timeout, _ECHO_SECONDS)
        try:
            async with asyncio.timeout(limit):
                await client.echo(key)
        except (GlideError, TimeoutError) as error:
            return error
        return None

    async def _answer(self, asked: dict[asyncio.Task[Exception | None], Client], pause: float) -> Client | None:
        """The first client that answers within `pause` seconds; the lane's own if several do."""
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            if not asked:
                await asyncio.sleep(left)
                return None
            done, _ = await asyncio.wait(asked, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            heard = {asked.pop(task): task.result() for task in done}
            answered = [client for client, error in heard.items() if self._alive(client, error)]
            winner = self._client if self._client in answered else next(iter(answered), None)
            for client in heard:
                if client is not winner:
                    await self._discard(client)
            if winner is not None:
                return winner
        return None

    def _alive(self, client: Client, error: Exception | None) -> bool:
        """Whether the server was heard: an error of its own is an answer, on a connection that is made."""
        if error is None:
            return True
        found = translated(error, "connect", self._location)
        if client.answered and not isinstance(found, (BackendTimeout, Unreachable)):
            return True
        hung = isinstance(found, BackendTimeout)  # it may be slow: waiting is better than refusing
        if not hung and not (self._settings.cluster and self._client.answered):  # of a cluster other nodes may answer
            if self._failure is None:
                _log.warning("%s", found)
            self._failure = error
            self._settled.set()
        return False

    async def _discard(self, client: Client) -> None:
        """Closes a client that failed. The lane's own is kept if it was connected once, for glide reconnects it."""
        if client is not self._client:
            client.close()
        elif not client.answered:  # glide goes on trying in the background for each time this failed
            other = await self._another()
            if other is not None:
                self._client = other
                client.close()

    def _install(self, winner: Client, seconds: float) -> None:
        if winner is not self._client:
            old, self._client = self._client, winner
            self._retire(old)
        if self._failure is not None:
            _log.info("%s: connected again after %.1f s", self._location, seconds)
        winner.answered = True
        self._outdated = False
        self._failure = None
        self._settled.set()

    def _retire(self, client: Client) -> None:
        """Closes a client when every call on it has ended: it may answer yet."""
        loop = asyncio.get_running_loop()

        def close() -> None:
            if client.calls:
                self._retired[client] = loop.call_later(_RETIRED_SECONDS, close)
            else:
                del self._retired[client]
                client.close()

        self._retired[client] = loop.call_later(_RETIRED_SECONDS, close)

    async def _another(self) -> Client | None:
        """A new client; None when the process has no means for one, which must not end the race."""
        from glide import GlideError

        try:
            return await Client.create(self._settings)
        except GlideError as error:
            _log.debug("%s", translated(error, "connect", self._location))
            return None
