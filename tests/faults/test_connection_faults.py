"""The connection while the server is stopped, gone, or swallows packets: calls end in time, and all is well soon after.

A second is what recovery may take; the bounds here are wider, for machines that are busy with other things.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.valkey.client import Client
from router_memory.backends.valkey.connection import Connection
from router_memory.backends.valkey.translate import Unreachable
from router_memory.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable
from tests.faults.stores import PATIENCE, Lag, eventually
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from tests.servers.cluster import Cluster
    from tests.servers.fixtures import OwnCluster, OwnServer
    from tests.servers.process import Server

TIMEOUT = 0.4
LONGEST_RECOVERY = 3.0
SLACK = 1.0
KEY = "key"


@dataclass(frozen=True)
class Fault:
    """A way for a server to be away, and back.

    Args:
        addresses: Where clients reach it.
        strike: Takes it away.
        heal: Brings it back; it is there when this returns.
    """

    addresses: Sequence[tuple[str, int]]
    strike: Callable[[], object]
    heal: Callable[[], object]


@asynccontextmanager
async def opened(fault: Fault, *, used: bool = True, **settings: Any) -> AsyncIterator[Connection]:
    """An open connection, used on every client of it before or not."""
    connection = Connection(addresses=fault.addresses, **{"timeout": TIMEOUT, **settings})
    await connection.open()
    try:
        if used:
            await asyncio.gather(*(_established(connection, search=search) for search in (False, True, True)))
        yield connection
    finally:
        await connection.close()


async def _write(connection: Connection, key: str = KEY, *, search: bool = False) -> None:
    (reply,) = await connection.pipeline("test", [("SET", key, "1")], key=key, search=search)
    if isinstance(reply, BackendError):
        raise reply


async def _established(connection: Connection, *, search: bool) -> None:
    """Writes until that succeeds: the timeout is short for a busy machine."""

    async def written() -> bool:
        await _write(connection, search=search)
        return True

    await eventually(written)


async def _outcome(
    connection: Connection, key: str = KEY, *, search: bool = False
) -> tuple[BackendError | None, float]:
    """The error of a call, if there was one, and how long it took."""
    began = time.perf_counter()
    try:
        await _write(connection, key, search=search)
    except BackendError as error:
        return error, time.perf_counter() - began
    return None, time.perf_counter() - began


async def _recovery(connection: Connection, keys: Sequence[str] = (KEY,)) -> float:
    """Seconds until commands and searches succeed for every key."""
    began = time.perf_counter()
    for key in keys:
        for search in (False, True):
            while (await _outcome(connection, key, search=search))[0] is not None:
                await asyncio.sleep(0.01)
                assert time.perf_counter() - began < 2 * LONGEST_RECOVERY, "it does not recover"
    return time.perf_counter() - began


@pytest.fixture(params=["stopped", "killed", "refused", "swallowed"])
def fault(request: pytest.FixtureRequest, own_server: OwnServer) -> Iterator[Fault]:
    server = own_server()
    proxy = Proxy(server.port).start()

    def refuse() -> None:
        proxy.refuse()
        proxy.cut()

    through = [("127.0.0.1", proxy.port)]
    yield {
        "stopped": Fault([server.address], server.pause, server.resume),
        "killed": Fault([server.address], server.kill, server.start),
        "refused": Fault(through, refuse, proxy.forward),
        "swallowed": Fault(through, proxy.swallow, proxy.forward),
    }[request.param]
    proxy.close()


class TestOneServer:
    @pytest.mark.alone
    @pytest.mark.parametrize("used", [True, False], ids=["established", "first"])
    async def test_calls_end_in_time_and_the_loop_goes_on(self, fault: Fault, *, used: bool) -> None:
        async with opened(fault, used=used) as connection:
            fault.strike()
            async with Lag() as lag:
                calls = [_outcome(connection, search=number % 2 == 1) for number in range(20)]
                outcomes = await asyncio.gather(*calls)
                outcomes += await asyncio.gather(*(_outcome(connection, search=True) for _ in range(20)))

        assert all(isinstance(error, (BackendTimeout, Unreachable)) for error, _ in outcomes)
        assert max(seconds for _, seconds in outcomes) < TIMEOUT + SLACK
        assert lag.stayed_small()

    @pytest.mark.alone
    @pytest.mark.parametrize("used", [True, False], ids=["established", "first"])
    async def test_all_is_well_within_a_second_of_its_return(self, fault: Fault, *, used: bool) -> None:
        async with opened(fault, used=used) as connection:
            fault.strike()
            until = time.perf_counter() + 2 * TIMEOUT
            while time.perf_counter() < until:
                await asyncio.gather(*(_outcome(connection, search=search) for search in (False, True, True)))
                await asyncio.sleep(0.02)
            fault.heal()
            async with Lag() as lag:
                assert await _recovery(connection) < LONGEST_RECOVERY

        assert lag.stayed_small()

    @pytest.mark.alone
    async def test_close_waits_for_nobody(self, fault: Fault) -> None:
        async with opened(fault, timeout=5 * SLACK) as connection:
            fault.strike()
            under_way = asyncio.create_task(_outcome(connection))
            await asyncio.sleep(0.05)
            async with Lag() as lag:
                began = time.perf_counter()
                await connection.close()
                seconds = time.perf_counter() - began
            error, _ = await under_way

        assert seconds < SLACK
        assert lag.stayed_small()
        assert isinstance(error, BackendUnavailable)

    async def test_long_timeout_does_not_delay_recovery(self, own_server: OwnServer) -> None:
        """A call that waits ten seconds for a black hole keeps nobody else waiting once the server is back."""
        proxy = Proxy(own_server().port).start()
        hole = Fault([("127.0.0.1", proxy.port)], proxy.swallow, proxy.forward)
        async with opened(hole, timeout=10.0) as connection:
            hole.strike()
            waiting = asyncio.create_task(_outcome(connection))
            with pytest.raises(BackendTimeout):
                await connection.pipeline("test", [("PING",)], key=KEY, search=True, timeout=0.2)
            hole.heal()
            began = time.perf_counter()
            while time.perf_counter() - began < LONGEST_RECOVERY:
                with suppress(BackendTimeout):
                    await connection.pipeline("test", [("PING",)], key=KEY, timeout=0.2)
                    break
            assert time.perf_counter() - began < LONGEST_RECOVERY
            waiting.cancel()
        proxy.close()

    async def test_lasting_failure_keeps_nothing_of_the_calls(self, own_server: OwnServer) -> None:
        """An error that is raised again and again would hold the frames of all of them, with what they carry."""
        server = own_server()
        gone = Fault([server.address], server.kill, server.start)
        gone.strike()
        async with opened(gone, used=False) as connection:
            causes = []
            for _ in range(200):
                with pytest.raises(Unreachable) as raised:
                    await connection.command("test", "PING")
                causes.append(raised.value.__cause__)

        deepest = max(len(list(traceback.walk_tb(cause.__traceback__))) for cause in causes if cause is not None)
        assert len(causes) == 200
        assert None not in causes
        assert deepest < 20

    @pytest.mark.parametrize("used", [True, False], ids=["established", "first"])
    async def test_race_outlives_a_lack_of_means_for_clients(
        self, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch, *, used: bool
    ) -> None:
        """A process without threads or memory for another client for a while recovers when it has them."""
        from glide import ClosingError

        server = own_server()
        gone = Fault([server.address], server.kill, server.start)
        refusals = []

        async def refuse(settings: object) -> Client:
            refusals.append(settings)
            raise ClosingError("Failed to create client")

        async with opened(gone, used=used) as connection:
            gone.strike()
            with monkeypatch.context() as patch:
                patch.setattr(Client, "create", refuse)
                until = time.perf_counter() + 2 * TIMEOUT
                while time.perf_counter() < until:
                    assert (await _outcome(connection))[0] is not None
                    await asyncio.sleep(0.02)
            gone.heal()

            assert refusals
            assert await _recovery(connection) < LONGEST_RECOVERY

    async def test_connection_forgotten_while_idle(self, own_server: OwnServer) -> None:
        """A firewall forgets what is idle: the first call is lost, and not those of a second later."""
        proxy = Proxy(own_server().port).start()
        hole = Fault([("127.0.0.1", proxy.port)], proxy.swallow, proxy.forward)
        async with opened(hole) as connection:
            hole.strike()
            hole.heal()
            error, _ = await _outcome(connection)

            assert isinstance(error, BackendTimeout)
            assert await _recovery(connection) < LONGEST_RECOVERY
        proxy.close()

    async def test_cut_in_the_middle_of_a_pipeline(self, own_server: OwnServer) -> None:
        proxy = Proxy(own_server().port).start()
        through = Fault([("127.0.0.1", proxy.port)], proxy.cut, proxy.forward)
        async with opened(through, timeout=3.0) as connection:
            waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", "nobody", "2")], key=KEY, search=True))
            await asyncio.sleep(0.05)
            through.strike()

            with pytest.raises(Unreachable):
                await waiting
            assert await _recovery(connection) < LONGEST_RECOVERY
        proxy.close()

    async def test_end_of_another_event_loop(self, own_server: OwnServer) -> None:
        """The first loop of a process reads glide's answers for all of them, until it is closed."""
        server = own_server()
        here = Fault([server.address], server.pause, server.resume)
        first_open, end = threading.Event(), threading.Event()

        async def first() -> None:
            async with opened(here):
                first_open.set()
                await asyncio.to_thread(end.wait)

        thread = threading.Thread(target=lambda: asyncio.run(first()))
        thread.start()
        await asyncio.to_thread(first_open.wait)
        async with opened(here) as connection:
            end.set()
            await asyncio.to_thread(thread.join)

            assert await _recovery(connection) < LONGEST_RECOVERY

    async def test_returning_server_is_not_stormed(self, own_server: OwnServer) -> None:
        """A hundred calls to a server that is down at start leave no hundred connections for its return."""
        proxy = Proxy(own_server().port).start()
        gone = Fault([("127.0.0.1", proxy.port)], proxy.refuse, proxy.forward)
        gone.strike()
        async with opened(gone, used=False) as connection:
            await asyncio.gather(*(_outcome(connection) for _ in range(100)))
            gone.heal()
            await _recovery(connection)
            await asyncio.sleep(0.3)

            assert proxy.connections < 20
        proxy.close()

    async def test_write_that_timed_out_may_have_been_applied(self, own_server: OwnServer) -> None:
        """Which is why a timeout is an error of its own."""
        server = own_server()
        async with opened(Fault([server.address], server.pause, server.resume)) as connection:
            server.pause()
            with pytest.raises(BackendTimeout):
                await connection.command("test", "SET", "other", "1")
            server.resume()
            await _recovery(connection)

        assert server.ask("GET", "other") == b"1"

    async def test_server_that_cannot_save_is_not_taken_for_dead(self, own_server: OwnServer) -> None:
        """It refuses PING as it refuses writes, and goes on answering reads."""
        server = own_server(config={"save": "3600 1000000", "enable-protected-configs": "yes"})
        async with opened(Fault([server.address], server.pause, server.resume)) as connection:
            (server.folder / "temp").mkdir()
            server.ask("CONFIG", "SET", "dbfilename", "temp")  # a folder cannot be replaced by a file
            server.ask("BGSAVE")
            await _until_save_failed(server)
            server.pause()
            await _outcome(connection)
            server.resume()

            async with asyncio.timeout(LONGEST_RECOVERY):
                assert await connection.command("test", "GET", KEY) == b"1"
            with pytest.raises(BackendRejected, match="cannot save"):
                await connection.command("test", "SET", KEY, "2")


async def _until_save_failed(server: Server) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            info = server.ask("INFO", "persistence")
            assert isinstance(info, bytes)
            if b"rdb_last_bgsave_status:err" in info:
                return
            await asyncio.sleep(0.02)


LOST = 0
CLUSTER_TIMEOUT = 1.0


@pytest.fixture(params=["stopped", "killed", "refused", "swallowed"])
def lost(request: pytest.FixtureRequest, own_cluster: OwnCluster) -> tuple[Fault, Cluster]:
    """A cluster of three whose first node can be lost."""
    cluster = own_cluster(proxied=True)
    node, proxy = cluster.nodes[LOST], cluster.proxies[LOST]

    def refuse() -> None:
        proxy.refuse()
        proxy.cut()

    def resume() -> None:
        node.resume()
        cluster.wait()

    def restart() -> None:
        node.start()
        cluster.wait()

    faults = {
        "stopped": (node.pause, resume),
        "killed": (node.kill, restart),
        "refused": (refuse, proxy.forward),
        "swallowed": (proxy.swallow, proxy.forward),
    }
    return Fault(cluster.addresses, *faults[request.param]), cluster


async def _traffic(connection: Connection, key: str, seconds: float, *, search: bool) -> list[tuple[bool, float]]:
    """Whether each call succeeded, and how long it took, for so many seconds."""
    outcomes = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        error, took = await _outcome(connection, key, search=search)
        assert error is None or isinstance(error, BackendUnavailable)
        outcomes.append((error is None, took))
        await asyncio.sleep(0.01)
    return outcomes


@pytest.mark.full
@pytest.mark.alone
class TestCluster:
    async def test_other_slots_go_on_and_the_lost_one_returns(self, lost: tuple[Fault, Cluster]) -> None:
        fault, cluster = lost
        keys = [cluster.key_on(number) for number in range(3)]
        async with opened(fault, cluster=True, timeout=CLUSTER_TIMEOUT) as connection, Lag() as lag:
            for key in keys:
                await asyncio.gather(*(_write(connection, key, search=search) for search in (False, True, True)))
            await asyncio.to_thread(fault.strike)
            outcomes = await asyncio.gather(
                *(_traffic(connection, key, 1.5, search=search) for key in keys for search in (False, True))
            )
            await asyncio.to_thread(fault.heal)

            assert await _recovery(connection, keys) < LONGEST_RECOVERY

        of_lost, of_others = outcomes[:2], [call for calls in outcomes[2:] for call in calls]
        assert not any(well for calls in of_lost for well, _ in calls)
        assert max(took for calls in of_lost for _, took in calls) < CLUSTER_TIMEOUT + SLACK
        assert sum(well for well, _ in of_others) > 0.9 * len(of_others)
        assert max(took for _, took in of_others) < CLUSTER_TIMEOUT
        assert lag.stayed_small()

    async def test_first_connection_without_a_node(self, lost: tuple[Fault, Cluster]) -> None:
        """The others serve as soon as the client has given the lost one up, and it joins them when it is back."""
        fault, cluster = lost
        keys = [cluster.key_on(number) for number in range(3)]
        fault.strike()
        async with opened(fault, used=False, cluster=True, timeout=CLUSTER_TIMEOUT) as connection, Lag() as lag:
            began = time.perf_counter()
            while (await _outcome(connection, keys[1]))[0] is not None:
                assert time.perf_counter() - began < 5, "no connection to the nodes that are left"
            await asyncio.to_thread(fault.heal)

            assert await _recovery(connection, keys) < LONGEST_RECOVERY
        assert lag.stayed_small()
