"""The connection on a real server: commands, scripts, pipelines, users, TLS, databases. No Search needed."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.valkey import Connection, Tls
from router_memory.backends.valkey.client import Client, join
from router_memory.backends.valkey.translate import NotPrimary, Unreachable
from router_memory.errors import BackendError, BackendRejected, BackendUnavailable
from tests.servers.certificates import Authority, Pair, tls_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from threading import Thread

    from router_memory.backends.valkey.settings import Settings
    from tests.servers.cluster import Cluster
    from tests.servers.fixtures import OwnCluster, OwnServer
    from tests.servers.process import Endpoint, Server

PASSWORD = "open-sesame"


@asynccontextmanager
async def connected(addresses: Sequence[tuple[str, int]], **settings: Any) -> AsyncIterator[Connection]:
    """An open connection."""
    connection = Connection(addresses=addresses, **{"timeout": 5.0, **settings})
    await connection.open()
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def connection(plain_server: Endpoint) -> AsyncIterator[Connection]:
    async with connected([plain_server.address]) as opened:
        yield opened


@pytest.fixture
def key() -> str:
    return f"test:{secrets.token_hex(8)}"


class TestCommands:
    async def test_reply_is_what_the_server_says(self, connection: Connection, key: str) -> None:
        assert await connection.command("test", "SET", key, b"\xff\x00", "EX", "60", key=key) == "OK"
        assert await connection.command("test", "GET", key, key=key) == b"\xff\x00"

    async def test_everywhere_names_the_node(self, connection: Connection) -> None:
        assert await connection.command("test", "PING", everywhere=True) == {connection.location: b"PONG"}

    async def test_refusal_is_typed_and_names_the_server(self, connection: Connection, key: str) -> None:
        await connection.command("test", "SET", key, "text", "EX", "60", key=key)

        with pytest.raises(BackendRejected, match=rf"valkey test: {connection.location}: .*WRONGTYPE"):
            await connection.command("test", "HGET", key, "field", key=key)

    async def test_thousand_at_once_keep_apart(self, connection: Connection) -> None:
        replies = await asyncio.gather(*(connection.command("test", "ECHO", str(number)) for number in range(1_000)))

        assert replies == [str(number).encode() for number in range(1_000)]


class TestScripts:
    async def test_keys_and_arguments_arrive(self, connection: Connection, key: str) -> None:
        reply = await connection.run("test", "return {KEYS[1], ARGV[1], ARGV[2]}", [key], [b"\xff", "two"])

        assert reply == [key.encode(), b"\xff", b"two"]

    async def test_text_is_sent_when_the_server_has_forgotten_it(self, own_server: OwnServer) -> None:
        server = own_server()
        async with connected([server.address]) as connection:
            assert await connection.run("test", "return 1", [], []) == 1
            server.ask("SCRIPT", "FLUSH")
            assert await connection.run("test", "return 1", [], []) == 1

    async def test_text_is_sent_once(self, own_server: OwnServer) -> None:
        server = own_server()
        async with connected([server.address]) as connection:
            for _ in range(5):
                await connection.run("test", "return 2", [], [])

        statistics = server.ask("INFO", "commandstats")
        assert isinstance(statistics, bytes)
        assert b"cmdstat_eval:calls=1," in statistics

    async def test_failing_script_is_refused(self, connection: Connection, key: str) -> None:
        with pytest.raises(BackendRejected):
            await connection.run("test", "return redis.call('NOSUCH', KEYS[1])", [key], [])


class TestPipelines:
    @pytest.mark.parametrize("search", [False, True])
    async def test_replies_come_in_order(self, connection: Connection, key: str, *, search: bool) -> None:
        commands = [("RPUSH", key, str(number)) for number in range(200)]

        replies = await connection.pipeline("test", [*commands, ("DEL", key)], key=key, search=search)

        assert replies == [*range(1, 201), 1]

    async def test_failed_command_leaves_the_others(self, connection: Connection, key: str) -> None:
        first, failed, last, gone = await connection.pipeline(
            "test", [("SET", key, "1"), ("HGET", key, "field"), ("GET", key), ("DEL", key)], key=key
        )

        assert (first, last, gone) == ("OK", b"1", 1)
        assert isinstance(failed, BackendRejected)
        assert "WRONGTYPE" in str(failed)

    async def test_missing_search_module_is_named(self, own_server: OwnServer) -> None:
        async with connected([own_server().address]) as connection:
            (error,) = await connection.pipeline("test", [("FT.SEARCH", "index", "secret")], key="k", search=True)

        assert isinstance(error, BackendRejected)
        assert "the Search module is not loaded" in str(error)
        assert "secret" not in str(error)

    async def test_searches_use_clients_of_their_own(self, own_server: OwnServer) -> None:
        """What blocks a search client leaves the control client free."""
        server = own_server()
        async with connected([server.address], search_clients=2) as connection:
            waits = [
                asyncio.create_task(connection.pipeline("test", [("BLPOP", "nobody", "2")], key="k", search=True))
                for _ in range(2)
            ]
            await asyncio.sleep(0.1)
            async with asyncio.timeout(1):
                assert await connection.command("test", "PING") == b"PONG"
            names = {line.split(b" name=")[1].split()[0] for line in _clients(server)}
            for wait in waits:
                wait.cancel()

        assert names == {b"router-memory"}


class TestUsers:
    async def test_password_of_default_user(self, own_server: OwnServer) -> None:
        server = own_server(config={"requirepass": PASSWORD})
        async with connected([server.address], password=PASSWORD) as connection:
            assert await connection.command("test", "PING") == b"PONG"

    @pytest.mark.parametrize("password", ["wrong", ""])
    async def test_wrong_password_is_refused_and_never_printed(self, own_server: OwnServer, password: str) -> None:
        server = own_server()
        server.ask("ACL", "SETUSER", "default", "resetpass", f">{PASSWORD}")
        async with connected([server.address], password=password) as connection:
            with pytest.raises(BackendRejected, match="password") as raised:
                await connection.command("test", "PING")

        assert PASSWORD not in str(raised.value)
        assert "wrong'" not in str(raised.value)

    async def test_password_set_right_on_the_server_needs_no_restart(self, own_server: OwnServer) -> None:
        server = own_server()
        server.ask("ACL", "SETUSER", "anna", "on", "allkeys", "+@all", ">other")
        async with connected([server.address], username="anna", password=PASSWORD) as connection:
            with pytest.raises(BackendRejected):
                await connection.command("test", "PING")
            server.ask("ACL", "SETUSER", "anna", f">{PASSWORD}")
            assert await _eventually(connection) == b"PONG"

    async def test_user_with_few_rights(self, own_server: OwnServer) -> None:
        server = own_server()
        server.ask(
            *(
                "ACL",
                "SETUSER",
                "anna",
                "on",
                f">{PASSWORD}",
                "~mem:*",
                "+@connection",
                "+@read",
                "+info",
                "-@dangerous",
            )
        )
        server.ask("ACL", "SETUSER", "anna", "+info")
        async with connected([server.address], username="anna", password=PASSWORD) as connection:
            assert await connection.command("test", "GET", "mem:1", key="mem:1") is None
            for command in (("SET", "mem:1", "x"), ("GET", "other")):
                with pytest.raises(BackendRejected, match="the ACL forbids this") as raised:
                    await connection.command("test", *command)
                assert "+@scripting" in raised.value.hint


class TestSettings:
    async def test_database(self, own_server: OwnServer) -> None:
        server = own_server()
        async with connected([server.address], database=3) as connection, connected([server.address]) as zero:
            await connection.command("test", "SET", "key", "3")

            assert await zero.command("test", "GET", "key") is None
            assert connection.location == f"127.0.0.1:{server.port}/3"

    async def test_missing_database_is_named(self, own_server: OwnServer) -> None:
        async with connected([own_server().address], database=77) as connection:
            with pytest.raises(BackendError, match="no such database"):
                await connection.command("test", "PING")

    async def test_client_name(self, own_server: OwnServer) -> None:
        server = own_server()
        async with connected([server.address], client_name="gateway-7") as connection:
            await connection.command("test", "PING")

            assert any(b" name=gateway-7 " in line for line in _clients(server))

    def test_import_of_the_package_loads_no_glide(self) -> None:
        code = "import sys, router_memory, router_memory.backends.valkey; sys.exit('glide' in sys.modules)"

        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestTls:
    @pytest.fixture(scope="class")
    def authority(self, tmp_path_factory: pytest.TempPathFactory) -> Authority:
        return Authority(tmp_path_factory.mktemp("authority"), "ca")

    @pytest.fixture(scope="class")
    def client(self, authority: Authority) -> Pair:
        return authority.issue("client")

    @pytest.fixture
    def server(self, own_server: OwnServer, authority: Authority) -> Server:
        return _tls_server(own_server, authority, "no")

    async def test_own_ca(self, server: Server, authority: Authority) -> None:
        tls = Tls(ca=authority.pair.certificate.read_bytes())
        async with connected([_tls_address(server)], tls=tls) as connection:
            assert await connection.command("test", "PING") == b"PONG"

    @pytest.mark.parametrize("system", [False, True])
    async def test_certificate_of_another_ca_is_refused(self, server: Server, tmp_path: Path, *, system: bool) -> None:
        other = Authority(tmp_path / "other", "other")
        tls = Tls(ca=None if system else other.pair.certificate.read_bytes())
        async with connected([_tls_address(server)], tls=tls) as connection:
            with pytest.raises(Unreachable, match="the TLS connection failed"):
                await connection.command("test", "PING")

    async def test_insecure_only_when_asked(self, server: Server) -> None:
        async with connected([_tls_address(server)], tls=Tls(insecure=True)) as connection:
            assert await connection.command("test", "PING") == b"PONG"

    async def test_client_certificate(self, own_server: OwnServer, authority: Authority, client: Pair) -> None:
        server = _tls_server(own_server, authority, "yes")
        ca = authority.pair.certificate.read_bytes()
        both = Tls(ca=ca, certificate=client.certificate.read_bytes(), key=client.key.read_bytes())
        async with connected([_tls_address(server)], tls=both) as connection:
            assert await connection.command("test", "PING") == b"PONG"
        async with connected([_tls_address(server)], tls=Tls(ca=ca)) as connection:
            with pytest.raises(BackendUnavailable):
                await connection.command("test", "PING")

    async def test_plain_connection_to_tls_port_fails_in_time(self, server: Server) -> None:
        async with connected([_tls_address(server)], timeout=2.0) as connection:
            with pytest.raises(BackendUnavailable):
                await connection.command("test", "PING")

    async def test_key_alone_is_refused_at_open(self) -> None:
        connection = Connection(addresses=[("127.0.0.1", 1)], tls=Tls(key=b"key"))

        with pytest.raises(BackendRejected, match="settings"):
            await connection.open()

    def test_key_is_not_printed(self) -> None:
        assert "hush" not in repr(Tls(key=b"hush"))


class TestClosing:
    def test_clients_that_hang_share_the_time_they_are_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router_memory.backends.valkey.client._CLOSE_SECONDS", 0.2)
        end = threading.Event()
        hanging = [threading.Thread(target=end.wait, daemon=True) for _ in range(10)]
        for thread in hanging:
            thread.start()
        began = time.perf_counter()
        join(hanging)
        seconds = time.perf_counter() - began
        end.set()

        assert 0.2 <= seconds < 1.0


class TestLife:
    async def test_open_and_close_are_idempotent(self, plain_server: Endpoint) -> None:
        connection = Connection(addresses=[plain_server.address])
        await connection.close()
        await connection.open()
        await connection.open()
        assert await connection.command("test", "PING") == b"PONG"
        await connection.close()
        await connection.close()

    async def test_closed_connection_says_so(self, plain_server: Endpoint) -> None:
        connection = Connection(addresses=[plain_server.address])
        await connection.open()
        await connection.close()

        with pytest.raises(BackendUnavailable, match="not open"):
            await connection.command("test", "PING")

    async def test_reopened_connection_works(self, plain_server: Endpoint) -> None:
        connection = Connection(addresses=[plain_server.address])
        for _ in range(3):
            await connection.open()
            assert await connection.command("test", "PING") == b"PONG"
            await connection.close()

    async def test_close_ends_what_is_under_way(self, plain_server: Endpoint, key: str) -> None:
        connection = Connection(addresses=[plain_server.address])
        await connection.open()
        waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", key, "5")], key=key, search=True))
        await asyncio.sleep(0.1)

        async with asyncio.timeout(2):
            await connection.close()
            with pytest.raises(BackendUnavailable, match="not open"):
                await waiting

    async def test_call_of_a_connection_that_was_reopened_says_so(self, plain_server: Endpoint, key: str) -> None:
        connection = Connection(addresses=[plain_server.address])
        await connection.open()
        waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", key, "5")], key=key, search=True))
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        await connection.open()

        with pytest.raises(BackendUnavailable, match="not open"):
            await waiting
        await closing
        await connection.close()

    async def test_close_waits_for_no_call_of_the_next_opening(self, plain_server: Endpoint, key: str) -> None:
        connection = Connection(addresses=[plain_server.address])
        await connection.open()
        await connection.command("test", "PING")
        closing = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        await connection.open()
        waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", key, "3")], key=key))

        async with asyncio.timeout(1):
            await closing
        assert not waiting.done()
        await connection.close()
        with pytest.raises(BackendUnavailable):
            await waiting

    async def test_cancelled_close_closes_the_clients(self, own_server: OwnServer) -> None:
        server = own_server()
        connection = Connection(addresses=[server.address])
        await connection.open()
        waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", "nobody", "5")], key="k"))
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        closing.cancel()

        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(BackendUnavailable):
            await waiting
        await _until_left(server)

    async def test_failed_open_leaves_no_client(self, plain_server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        from glide import ClosingError

        made: list[Client] = []
        closed: list[Client] = []
        create, close = Client.create, Client.close

        async def third_fails(settings: Settings) -> Client:
            if len(made) == 2:
                raise ClosingError("Failed to create client")
            made.append(await create(settings))
            return made[-1]

        def noted(client: Client) -> Thread:
            closed.append(client)
            return close(client)

        monkeypatch.setattr(Client, "create", third_fails)
        monkeypatch.setattr(Client, "close", noted)
        connection = Connection(addresses=[plain_server.address])
        with pytest.raises(BackendUnavailable):
            await connection.open()

        assert closed == made
        with pytest.raises(BackendUnavailable, match="not open"):
            await connection.command("test", "PING")

    async def test_cancelled_call_leaves_the_connection_well(self, connection: Connection, key: str) -> None:
        waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", key, "1")], key=key))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert await connection.command("test", "PING") == b"PONG"

    async def test_other_event_loop_is_refused(self, connection: Connection) -> None:
        def elsewhere() -> None:
            asyncio.run(connection.command("test", "PING"))

        with pytest.raises(BackendUnavailable, match="another event loop"):
            await asyncio.to_thread(elsewhere)

    def test_closed_on_another_event_loop_when_its_own_has_ended(self, own_server: OwnServer) -> None:
        server = own_server()
        connection = Connection(addresses=[server.address])

        async def use() -> None:
            await connection.open()
            await connection.command("test", "PING")

        async def end() -> None:
            await connection.close()
            await _until_left(server)

        asyncio.run(use())
        asyncio.run(end())

    async def test_closed_from_another_event_loop_while_its_own_runs(self, own_server: OwnServer) -> None:
        server = own_server()
        connection = Connection(addresses=[server.address])
        await connection.open()
        waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", "nobody", "5")], key="k"))
        await asyncio.sleep(0.1)

        async with asyncio.timeout(2):
            await asyncio.to_thread(lambda: asyncio.run(connection.close()))
            with pytest.raises(BackendUnavailable, match="not open"):
                await waiting
        await _until_left(server)

    def test_calls_under_way_end_on_every_event_loop_it_is_opened_on(self, plain_server: Endpoint, key: str) -> None:
        connection = Connection(addresses=[plain_server.address])

        async def open_and_close() -> None:
            await connection.open()
            waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", key, "5")], key=key))
            await asyncio.sleep(0.1)
            await connection.close()
            with pytest.raises(BackendUnavailable, match="not open"):
                await waiting

        for _ in range(2):
            asyncio.run(open_and_close())

    def test_child_of_a_fork_is_refused_until_it_opens_its_own(self, plain_server: Endpoint) -> None:
        """In a process of its own, for a fork of the test process would take its threads' locks along."""
        code = _FORK.format(address=plain_server.address)

        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30)

        assert "opened before a fork" in done.stdout, done.stderr
        assert "child b'PONG'" in done.stdout, done.stderr
        assert "parent b'PONG'" in done.stdout, done.stderr


class TestReplicas:
    async def test_new_primary_is_found(self, own_server: OwnServer) -> None:
        """A client of glide keeps the primary it found at first; after a failover the roles are looked up again."""
        first, second = own_server(), own_server()
        second.ask("REPLICAOF", first.host, str(first.port))
        async with connected([first.address, second.address]) as connection:
            assert await connection.command("test", "SET", "key", "1") == "OK"
            second.ask("REPLICAOF", "NO", "ONE")
            first.ask("REPLICAOF", second.host, str(second.port))
            with pytest.raises(NotPrimary):
                await connection.command("test", "SET", "key", "2")

            assert await _eventually(connection, "SET", "key", "3") == "OK"
        assert second.ask("GET", "key") == b"3"


class TestCluster:
    async def test_keys_of_every_node(self, plain_cluster: Cluster) -> None:
        async with connected(plain_cluster.addresses[:1], cluster=True) as connection:
            for number in range(3):
                key = plain_cluster.key_on(number, f"test-{secrets.token_hex(4)}")
                assert await connection.command("test", "SET", key, "1", key=key) == "OK"
                assert await connection.run("test", "return redis.call('GET', KEYS[1])", [key], []) == b"1"
                for search in (False, True):
                    replies = await connection.pipeline("test", [("GET", key), ("PING",)], key=key, search=search)
                    assert replies == [b"1", "PONG"] or replies == [b"1", b"PONG"]
                assert plain_cluster.nodes[number].ask("UNLINK", key) == 1

    async def test_everywhere_reaches_every_primary(self, plain_cluster: Cluster) -> None:
        async with connected(plain_cluster.addresses, cluster=True) as connection:
            replies = await connection.command("test", "INFO", "server", everywhere=True)

        assert {name.decode() for name in replies} == {f"{host}:{port}" for host, port in plain_cluster.addresses}

    @pytest.mark.full
    async def test_replica_answers_searches_when_preferred(self, own_cluster: OwnCluster) -> None:
        cluster = own_cluster(replicas=1)
        key = cluster.key_on(0)
        async with connected(cluster.addresses, cluster=True, read_from="prefer_replica") as connection:
            for search, role in ((False, b"role:master"), (True, b"role:slave")):
                (info,) = await connection.pipeline("test", [("INFO", "replication")], key=key, search=search)
                assert isinstance(info, bytes)
                assert role in info

    @pytest.mark.full
    async def test_scan_asks_primaries_whatever_searches_prefer(self, own_cluster: OwnCluster) -> None:
        cluster = own_cluster(replicas=1)
        async with connected(cluster.addresses, cluster=True, read_from="prefer_replica") as connection:
            async for _ in connection.scan("test", "*"):
                pass

        scanned = {node.port: node.ask("INFO", "everything") for node in cluster.nodes}
        asked = [text for text in scanned.values() if isinstance(text, bytes) and b"cmdstat_scan:" in text]
        assert len(asked) == 3
        assert all(b"role:master" in text for text in asked)

    async def test_primary_answers_where_there_is_no_replica(self, plain_cluster: Cluster) -> None:
        key = plain_cluster.key_on(1)
        async with connected(plain_cluster.addresses, cluster=True, read_from="prefer_replica") as connection:
            (reply,) = await connection.pipeline("test", [("GET", key)], key=key, search=True)

        assert reply is None


_FORK = """
import asyncio, os
from router_memory.backends.valkey.connection import Connection

async def again(connection):
    await connection.close()
    await connection.open()
    os.write(1, b" child " + repr(await connection.command("test", "PING")).encode())
    await connection.close()

async def main():
    connection = Connection(addresses=[{address}])
    await connection.open()
    await connection.command("test", "PING")
    waiting = asyncio.create_task(connection.pipeline("test", [("BLPOP", "nobody", "5")], key="k", search=True))
    await asyncio.sleep(0.1)
    child = os.fork()
    if child == 0:
        try:
            await connection.command("test", "PING")
        except Exception as error:
            os.write(1, str(error).encode())
        asyncio.run(again(connection))
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b" parent " + repr(await connection.command("test", "PING")).encode())
    await connection.close()

asyncio.run(main())
"""


def _clients(server: Server) -> list[bytes]:
    """The server's clients, without the one that asks."""
    listed = server.ask("CLIENT", "LIST")
    assert isinstance(listed, bytes)
    return [line for line in listed.splitlines() if b"cmd=client|list" not in line]


async def _until_left(server: Server) -> None:
    """Returns when the server has no client but the one that asks."""
    async with asyncio.timeout(2):
        while _clients(server):  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.02)


async def _eventually(connection: Connection, *command: str) -> object:
    """The reply, asked for until there is one, for two seconds."""
    async with asyncio.timeout(2):
        while True:
            try:
                return await connection.command("test", *(command or ("PING",)))
            except BackendError:
                await asyncio.sleep(0.02)


def _tls_server(own_server: OwnServer, authority: Authority, clients: str) -> Server:
    return own_server(config=tls_config(authority, clients=clients))


def _tls_address(server: Server) -> tuple[str, int]:
    return server.host, int(str(server.config["tls-port"]))
