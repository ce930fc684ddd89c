"""More searches than the server can do: they miss their deadlines, and the connections stay as many as they are."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.valkey.connection import Connection
from router_memory.backends.valkey.lane import Lane
from router_memory.errors import BackendTimeout
from tests.faults.stores import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

SEARCH_CLIENTS = 2
SPARE = 2  # beside each client: racing with it, or replaced and still waited for
MOST = (1 + SEARCH_CLIENTS) * (1 + SPARE)
SECONDS = 4.0
WITHIN = 0.06
LONGEST_RECOVERY = 4.0


@asynccontextmanager
async def connected(address: tuple[str, int], timeout: float = 10.0) -> AsyncIterator[Connection]:  # noqa: ASYNC109
    connection = Connection(addresses=[address], timeout=timeout, search_clients=SEARCH_CLIENTS)
    await connection.open()
    try:
        yield connection
    finally:
        await connection.close()


def clients(server: Server) -> int:
    listed = server.ask("CLIENT", "LIST")
    assert isinstance(listed, bytes)
    return sum(b"name=router-memory" in line for line in listed.splitlines())


async def blocking(connection: Connection, seconds: float, within: float) -> object:
    """What holds its connection as a search does: others wait for it."""
    commands = [("BLPOP", "nobody", str(seconds))]
    (reply,) = await connection.pipeline("test", commands, key="k", search=True, timeout=within)
    return reply


async def _blocks(server: Server) -> bool:
    """Whether every search client waits for the server."""
    info = server.ask("INFO", "clients")
    assert isinstance(info, bytes)
    return f"blocked_clients:{SEARCH_CLIENTS}\r\n".encode() in info


async def test_searches_that_miss_their_deadlines_breed_no_connections(own_server: OwnServer) -> None:
    """Each of two dozen asks again as soon as it has given up; every search takes half its deadline or more."""
    server = own_server()
    async with connected(server.address) as connection:
        until = time.monotonic() + SECONDS

        async def ask() -> int:
            missed = 0
            while time.monotonic() < until:
                try:
                    await blocking(connection, 0.04, WITHIN)
                except BackendTimeout:
                    missed += 1
            return missed

        async def watch() -> int:
            seen = 0
            while time.monotonic() < until:
                seen = max(seen, await asyncio.to_thread(clients, server))
                await asyncio.sleep(0.1)
            return seen

        most, *missed = await asyncio.gather(watch(), *(ask() for _ in range(24)))
        began = time.monotonic()
        while True:
            try:
                await blocking(connection, 0.01, 0.5)
                break
            except BackendTimeout:
                assert time.monotonic() - began < LONGEST_RECOVERY
    assert sum(missed) > 100
    assert most <= MOST


async def test_a_search_lane_is_not_given_up_while_it_is_only_busy(own_server: OwnServer) -> None:
    """What waits behind a search for a moment misses its deadline, and nobody makes a connection for it."""
    server = own_server()
    async with connected(server.address) as connection:
        await asyncio.gather(*(connection.pipeline("test", [("PING",)], key="k", search=True) for _ in range(4)))
        before = clients(server)
        long = [asyncio.create_task(blocking(connection, 0.4, 5.0)) for _ in range(SEARCH_CLIENTS)]
        await eventually(lambda: _blocks(server))
        outcomes = await asyncio.gather(*(blocking(connection, 0.01, 0.05) for _ in range(6)), return_exceptions=True)
        await asyncio.gather(*long)

        assert all(isinstance(outcome, BackendTimeout) for outcome in outcomes)
        assert clients(server) == before


async def test_a_search_given_up_by_the_server_is_an_answer(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked whether the connection works: it brought the server's word."""
    server, doubted = own_server(), []
    monkeypatch.setattr(Lane, "doubt", lambda *args, **_: doubted.append(args))
    text = "return redis.error_reply('Search operation cancelled due to timeout')"
    async with connected(server.address) as connection:
        (reply,) = await connection.pipeline("test", [("EVAL", text, "0")], key="k", search=True, timeout=0.5)

    assert isinstance(reply, BackendTimeout)
    assert doubted == []


async def test_searches_alone_that_are_not_answered_recover(own_server: OwnServer) -> None:
    """Though the control client answers all the while: its connection is another."""
    server = own_server()
    async with connected(server.address) as connection:
        await connection.command("test", "PING")
        lost = await asyncio.gather(
            *(blocking(connection, 30, 0.1) for _ in range(SEARCH_CLIENTS)), return_exceptions=True
        )
        began = time.monotonic()
        while True:
            try:
                await asyncio.gather(*(blocking(connection, 0.01, 0.1) for _ in range(SEARCH_CLIENTS)))
                break
            except BackendTimeout:
                assert time.monotonic() - began < LONGEST_RECOVERY

        assert all(isinstance(outcome, BackendTimeout) for outcome in lost)
        assert clients(server) <= MOST


async def test_calls_on_a_client_that_was_replaced_get_their_answers(own_server: OwnServer) -> None:
    """It is closed when the last of them has ended."""
    server = own_server()
    async with connected(server.address) as connection:
        long = [asyncio.create_task(blocking(connection, 5.0, 15.0)) for _ in range(SEARCH_CLIENTS)]
        await eventually(lambda: _blocks(server))
        while True:
            try:
                await blocking(connection, 0.01, 0.3)
                break
            except BackendTimeout:
                assert not any(task.done() for task in long)
        assert await asyncio.gather(*long) == [None] * SEARCH_CLIENTS
        async with asyncio.timeout(LONGEST_RECOVERY):
            while await asyncio.to_thread(clients, server) > 1 + SEARCH_CLIENTS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
