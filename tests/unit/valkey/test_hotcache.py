"""What the contract does not say of the cache on a server: its commands, its errors, what an operator is told."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.valkey import Connection, ValkeyCache
from router_memory.errors import BackendRejected, BackendUnavailable, InvalidRequest
from router_memory.types import CheckStatus, Finding
from tests.contract.hotcache_contract import ALICE, BOB, TTL, WITHIN, fill, look, question
from tests.contract.test_hotcache import PASSWORD, RIGHTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from router_memory.protocols import HotCache
    from tests.servers.cluster import Cluster
    from tests.servers.fixtures import OwnCluster, OwnServer
    from tests.servers.process import Server

PREFIX = "cache:"
KEY = f"{PREFIX}{{{ALICE}}}"
LOGIN = {"username": "cache", "password": PASSWORD}
BOUNDED = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
FOR_OPERATORS = ("scan", "memory|usage")


@asynccontextmanager
async def opened(addresses: Sequence[tuple[str, int]], **settings: Any) -> AsyncIterator[ValkeyCache]:
    """An open cache; what it holds stays."""
    cache = ValkeyCache(Connection(addresses=addresses, search_clients=0, **settings), prefix=PREFIX)
    await cache.open()
    try:
        yield cache
    finally:
        await cache.close()


@pytest.fixture
def server(own_server: OwnServer) -> Server:
    return own_server(config=BOUNDED)


@pytest.fixture
async def cache(server: Server) -> AsyncIterator[ValkeyCache]:
    async with opened([server.address]) as cache:
        yield cache


def keys(server: Server) -> list[bytes]:
    found = server.ask("KEYS", "*")
    assert isinstance(found, list)
    return sorted(key for key in found if isinstance(key, bytes))


class TestMaking:
    @pytest.mark.parametrize("prefix", ["", "a*", "a b", "{a}", "a?", "[a]", "a\\"])
    def test_prefix_that_scan_or_slots_would_misread(self, prefix: str) -> None:
        with pytest.raises(InvalidRequest, match="prefix"):
            ValkeyCache(Connection(addresses=[("localhost", 1)]), prefix=prefix)

    def test_no_entries(self) -> None:
        with pytest.raises(InvalidRequest, match="most_entries"):
            ValkeyCache(Connection(addresses=[("localhost", 1)]), prefix=PREFIX, most_entries=0)

    async def test_closed_cache_says_so(self, server: Server) -> None:
        cache = ValkeyCache(Connection(addresses=[server.address], search_clients=0), prefix=PREFIX)
        with pytest.raises(BackendUnavailable, match="not open"):
            await look(cache)

    async def test_connection_without_search_clients_refuses_searches(self, server: Server) -> None:
        connection = Connection(addresses=[server.address], search_clients=0)
        await connection.open()
        try:
            assert await connection.pipeline("test", [("ECHO", "a")], key="k") == [b"a"]
            with pytest.raises(InvalidRequest, match="searches"):
                await connection.pipeline("test", [("ECHO", "a")], key="k", search=True)
        finally:
            await connection.close()


class TestCommands:
    async def test_a_look_is_one_command_and_a_fill_one_script(self, cache: ValkeyCache, server: Server) -> None:
        await fill(cache)
        await look(cache)
        server.ask("CONFIG", "RESETSTAT")
        looked = await cache.get(ALICE, question(), within=WITHIN)
        await cache.put(ALICE, question(1), b"1", epoch="one", lease=looked.lease, ttl=TTL, within=WITHIN)
        info = server.ask("INFO", "commandstats")
        assert isinstance(info, bytes)
        assert b"cmdstat_evalsha:calls=1," in info
        assert b"cmdstat_eval:" not in info
        assert b"cmdstat_hmget:calls=2," in info  # the script's own is one of them

    async def test_keys_are_under_the_prefix_and_expire(self, cache: ValkeyCache, server: Server) -> None:
        await fill(cache)
        await cache.purge(BOB, within=WITHIN)
        await cache.put_vector(question(), b"v", ttl=TTL, within=WITHIN)
        assert keys(server) == sorted(
            [KEY.encode(), f"{PREFIX}{{{BOB}}}".encode(), f"{PREFIX}v:{question().hex()}".encode()]
        )
        for key in keys(server):
            left = server.ask("TTL", key)
            assert isinstance(left, int)
            assert TTL / 2 < left <= TTL

    async def test_scripts_are_sent_again_when_they_were_flushed(self, cache: ValkeyCache, server: Server) -> None:
        for _ in range(2):
            assert await fill(cache)
            await cache.purge(ALICE, within=WITHIN)
            assert await look(cache) is None
            server.ask("SCRIPT", "FLUSH")

    async def test_clear_leaves_what_is_not_the_caches(self, cache: ValkeyCache, server: Server) -> None:
        server.ask("SET", "other", "1")
        server.ask("SET", "cach", "1")
        await fill(cache)
        assert await cache.clear() == 1
        assert keys(server) == [b"cach", b"other"]


class TestForeignKeys:
    async def test_other_type_at_a_users_key(self, cache: ValkeyCache, server: Server) -> None:
        server.ask("SET", KEY, "text")
        with pytest.raises(BackendRejected, match="WRONGTYPE") as raised:
            await look(cache)
        assert "prefix" in raised.value.hint
        assert server.ask("TYPE", KEY) != b"string"  # the look took it away
        assert not await fill(cache, lease=b"")
        assert (await cache.stats()).users == 0
        assert await fill(cache)
        assert await look(cache) == b"value"

    async def test_other_type_at_a_users_key_meets_a_fill(self, cache: ValkeyCache, server: Server) -> None:
        server.ask("SET", KEY, "text")
        with pytest.raises(BackendRejected, match="WRONGTYPE"):
            await fill(cache, lease=b"")
        assert server.ask("GET", KEY) == b"text"

    async def test_other_type_at_a_vectors_key(self, cache: ValkeyCache, server: Server) -> None:
        server.ask("RPUSH", f"{PREFIX}v:{question().hex()}", "a")
        with pytest.raises(BackendRejected, match="WRONGTYPE"):
            await cache.get_vector(question(), within=WITHIN)
        await cache.put_vector(question(), b"v", ttl=TTL, within=WITHIN)
        assert await cache.get_vector(question(), within=WITHIN) == b"v"

    async def test_key_without_an_end_gets_one(self, cache: ValkeyCache, server: Server) -> None:
        await fill(cache)
        server.ask("PERSIST", KEY)
        await fill(cache, number=1)
        left = server.ask("TTL", KEY)
        assert isinstance(left, int)
        assert 0 < left <= TTL

    async def test_bookkeeping_that_is_not_ours_counts_as_another_state(
        self, cache: ValkeyCache, server: Server
    ) -> None:
        await fill(cache)
        server.ask("HSET", KEY, "epoch", b"\xff\x00", "lease", b"\x00\r\n")
        looked = await cache.get(ALICE, question(), within=WITHIN)
        assert looked.lease == b"\x00\r\n"
        assert await fill(cache, number=1)
        assert await look(cache) is None

    @pytest.mark.parametrize("reply", [None, "OK", 7, [], [b"a"], [b"a", "b"], [1, None], {b"a": b"b"}, b"text"])
    async def test_reply_of_another_form(self, monkeypatch: pytest.MonkeyPatch, reply: object) -> None:
        """As something that only looks like a server may give."""

        async def answer(*_: object, **__: object) -> object:
            return reply

        monkeypatch.setattr(Connection, "command", answer)
        monkeypatch.setattr(Connection, "run", answer)
        cache = ValkeyCache(Connection(addresses=[("localhost", 1)]), prefix=PREFIX)
        with pytest.raises(BackendRejected, match="unexpected form"):
            await look(cache)
        with pytest.raises(BackendRejected, match="unexpected form"):
            await fill(cache, lease=b"")
        if reply is not None and not isinstance(reply, bytes):
            with pytest.raises(BackendRejected, match="unexpected form"):
                await cache.get_vector(question(), within=WITHIN)


class TestRights:
    def test_the_documented_rights_are_the_tested_ones(self) -> None:
        documented = re.findall(r"\+[a-z]+(?:\|[a-z]+)?", ValkeyCache.__doc__ or "")
        assert sorted(documented) == sorted([*RIGHTS, "+ping", "+cluster|slots", "+config|get"])

    @pytest.mark.parametrize("right", RIGHTS)
    async def test_none_of_them_is_too_many(self, server: Server, right: str) -> None:
        rest = [other for other in RIGHTS if other != right]
        server.ask("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", f"~{PREFIX}*", *rest)
        async with opened([server.address], database=1, **LOGIN) as cache:
            with pytest.raises(BackendRejected):
                await _everything(cache)

    async def test_requests_need_less_than_operators(self, server: Server) -> None:
        less = [right for right in RIGHTS if right[1:] not in FOR_OPERATORS]
        server.ask("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", f"~{PREFIX}*", *less)
        async with opened([server.address], database=1, **LOGIN) as cache:
            assert await fill(cache)
            await cache.purge(ALICE, within=WITHIN)
            await cache.put_vector(question(), b"v", ttl=TTL, within=WITHIN)
            assert await cache.get_vector(question(), within=WITHIN) == b"v"
            with pytest.raises(BackendRejected, match="ACL") as raised:
                await cache.clear()
            assert "docs/cache.md" in raised.value.hint
            found = named(await cache.examine())
        assert found["cache rights"].status is CheckStatus.OK
        assert found["cache server"].status is CheckStatus.OK

    async def test_other_keys_are_forbidden(self, server: Server) -> None:
        server.ask("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", "~other:*", *RIGHTS)
        async with opened([server.address], **LOGIN) as cache:
            for call in (look(cache), fill(cache, lease=b""), cache.purge(ALICE, within=WITHIN)):
                with pytest.raises(BackendRejected, match="ACL"):
                    await call

    @pytest.mark.full
    async def test_least_rights_on_a_cluster(self, own_cluster: OwnCluster) -> None:
        cluster = own_cluster(config=BOUNDED)
        _give(cluster, *RIGHTS, "+ping", "+cluster|slots")
        async with opened(cluster.addresses, cluster=True, **LOGIN) as cache:
            for user in (ALICE, BOB, "c" * 32):
                assert await fill(cache, user)
                await cache.purge(user, within=WITHIN)
            bad = [found for found in await cache.examine() if found.status is CheckStatus.FAIL]
            assert (await cache.stats()).limit_bytes == 300 << 20
            assert await cache.clear() == 3
        assert bad == []


async def _everything(cache: ValkeyCache) -> None:
    """Each command once."""
    await fill(cache)
    await cache.purge(ALICE, within=WITHIN)
    await cache.put_vector(question(), b"v", ttl=TTL, within=WITHIN)
    await cache.get_vector(question(), within=WITHIN)
    await cache.stats()
    await cache.clear()


def _give(cluster: Cluster, *rights: str) -> None:
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", f"~{PREFIX}*", *rights)


def named(found: Sequence[Finding]) -> dict[str, Finding]:
    """The findings by name."""
    return {each.name: each for each in found}


async def doubtful(cache: HotCache) -> set[str]:
    """The names of the findings that are not well."""
    return {found.name for found in await cache.examine() if found.status is not CheckStatus.OK}


class TestExamination:
    async def test_one_as_it_should_be(self, cache: ValkeyCache, server: Server) -> None:
        found = named(await cache.examine())
        assert await doubtful(cache) <= {"cache round trip"}
        assert found["cache memory"].data["limit_bytes"] == 100 << 20
        assert keys(server) == []

    async def test_it_opens_by_itself(self, server: Server) -> None:
        cache = ValkeyCache(Connection(addresses=[server.address], search_clients=0), prefix=PREFIX)
        try:
            assert named(await cache.examine())["cache"].status is CheckStatus.OK
        finally:
            await cache.close()

    @pytest.mark.parametrize(
        ("directive", "value", "name", "says"),
        [
            ("maxmemory", "0", "cache memory", "maxmemory"),
            ("maxmemory-policy", "noeviction", "cache policy", "allkeys-lru"),
            ("appendonly", "yes", "cache persistence", "appendonly no"),
            ("save", "3600 1", "cache persistence", 'save ""'),
        ],
    )
    async def test_what_does_not_suit_a_cache(
        self, cache: ValkeyCache, server: Server, directive: str, value: str, name: str, says: str
    ) -> None:
        server.ask("CONFIG", "SET", directive, value)
        found = named(await cache.examine())[name]
        assert found.status is CheckStatus.WARN
        assert says in found.advice

    async def test_configuration_that_may_not_be_read(self, server: Server) -> None:
        server.ask("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", f"~{PREFIX}*", *RIGHTS)
        async with opened([server.address], **LOGIN) as cache:
            found = named(await cache.examine())["cache persistence"]
            server.ask("CONFIG", "SET", "appendonly", "yes")
            logs = named(await cache.examine())["cache persistence"]
        assert found.status is CheckStatus.OK
        assert "may not be read" in found.finding
        assert logs.status is CheckStatus.WARN

    @pytest.mark.parametrize(
        ("right", "doing", "status"),
        [
            ("hmget", "read", CheckStatus.WARN),
            ("hset", "write", CheckStatus.WARN),
            ("unlink", "purge", CheckStatus.FAIL),
            ("evalsha", "write", CheckStatus.WARN),
        ],
    )
    async def test_missing_right(self, server: Server, right: str, doing: str, status: CheckStatus) -> None:
        """That nothing can be purged is a failure: what is forgotten would stay."""
        server.ask("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", f"~{PREFIX}*", *RIGHTS, f"-{right}")
        async with opened([server.address], **LOGIN) as cache:
            found = named(await cache.examine())["cache rights"]
        assert found.status is status
        assert found.data["doing"] == doing

    async def test_wrong_password(self, server: Server) -> None:
        async with opened([server.address], username="cache", password="wrong") as cache:
            (found,) = await cache.examine()
        assert (found.name, found.status) == ("cache login", CheckStatus.WARN)
        assert "wrong'" not in found.finding

    async def test_server_that_is_away(self, server: Server) -> None:
        server.kill()
        async with opened([server.address], timeout=0.5) as cache:
            (found,) = await cache.examine()
        assert (found.name, found.status) == ("cache", CheckStatus.WARN)

    async def test_full_server(self, cache: ValkeyCache, server: Server) -> None:
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "maxmemory", "1")
        found = named(await cache.examine())["cache rights"]
        assert found.status is CheckStatus.WARN
        assert "out of memory" in found.finding
        assert "allkeys-lru" in found.advice

    async def test_stats_of_many_are_estimated(self, cache: ValkeyCache, server: Server) -> None:
        many = 2_000
        for number in range(many):
            await cache.put_vector(question(number), bytes(1_000), ttl=TTL, within=WITHIN)
        stats = await cache.stats()
        assert stats.vectors == many
        assert 1_000 * many < stats.bytes < 1_500 * many
        info = server.ask("INFO", "commandstats")
        assert isinstance(info, bytes)
        asked = next(line for line in info.splitlines() if line.startswith(b"cmdstat_memory|usage:calls="))
        assert int(asked.split(b"=")[1].split(b",")[0]) <= 500
