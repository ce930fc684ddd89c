"""The store is killed and comes back while 64 clients stream their chats: none of them fails."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.interfaces.serving.chats import Chats
from tests.servers.find import find
from tests.servers.ports import free_port
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interfaces.serving.conftest import Start
    from tests.interfaces.serving.running import Running
    from tests.interfaces.serving.upstream import Upstream
    from tests.servers.fixtures import OwnServer

CLIENTS = 64
_MISSED = ("unavailable", "store_unavailable")
_PATIENCE = 30


class Store:
    """A store that is killed and comes back: a server with Search; without one, something that is never any use."""

    def __init__(self, port: int, kill: Callable[[], object], restore: Callable[[], object], *, real: bool) -> None:
        self.port, self.kill, self.restore, self.real = port, kill, restore, real


@pytest.fixture
def store(own_server: OwnServer) -> Iterator[Store]:
    if find().module is not None:
        server = own_server(search=True, config={"appendonly": "yes"})
        yield Store(server.port, server.kill, server.start, real=True)
        return
    with _useless() as proxy:
        yield Store(proxy.port, proxy.refuse, proxy.swallow, real=False)


@contextmanager
def _useless() -> Iterator[Proxy]:
    proxy = Proxy(free_port()).start()
    proxy.swallow()
    yield proxy
    proxy.close()


@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.full)])
async def test_no_chat_fails(start: Start, upstream: Upstream, store: Store, seconds: int) -> None:
    running = start(
        "--workers",
        "2",
        backend="valkey",
        valkey={"host": "127.0.0.1", "port": store.port, "timeout": 1},
        deadline_ms=150,
        redis_cache={"enabled": True},
        service={"upstream": {"url": upstream.url}},
    ).ready()
    chats = Chats()
    clients = await chats.run(running.url, CLIENTS)
    done = await _part(chats, seconds / 3)
    await asyncio.to_thread(store.kill)
    done_without = await _part(chats, seconds / 3)
    for _ in range(_PATIENCE if store.real else 0):  # on a busy machine all chats may be shed before they ask the store
        if _MISSED in await asyncio.to_thread(_outcomes, running):
            break
        await _part(chats, 1.0)
    await asyncio.to_thread(store.restore)
    await _part(chats, seconds / 3)
    chats.stopping = True
    await asyncio.gather(*clients)
    assert chats.failed == []
    assert done >= CLIENTS
    assert done_without > 0
    if store.real:
        assert await asyncio.to_thread(_outcomes, running) >= {("used", "injected"), _MISSED}
        await asyncio.to_thread(running.until, lambda: httpx.get(f"{running.url}/readyz").status_code == 200)


async def _part(chats: Chats, seconds: float) -> int:
    """How many chats are done in so many seconds, and in those it takes until there is one."""
    before = len(chats.done)
    await asyncio.sleep(seconds)
    while len(chats.done) == before and not chats.failed:
        await chats.another()
    return len(chats.done) - before


def _outcomes(running: Running) -> set[tuple[str, str]]:
    outcomes = running.state()["requests"]["outcomes"]
    return {(outcome["status"], outcome["reason"]) for outcome in outcomes}
