"""The hot caches keep the contract: the double, and the real one on every kind of server there is here."""

from __future__ import annotations

import secrets
import shutil
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.valkey import Connection, Tls, ValkeyCache
from tests.contract.hotcache_contract import MOST, HotCacheContract
from tests.doubles_cache import MemoryHotCache
from tests.servers.certificates import Authority, tls_config
from tests.servers.find import Found
from tests.servers.process import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from router_memory.protocols import HotCache
    from tests.servers.cluster import Cluster
    from tests.servers.process import Endpoint

DATABASE = 1
PASSWORD = "open-sesame"
RIGHTS = (
    *("+hmget", "+hset", "+hlen", "+hexists", "+pttl", "+pexpire", "+unlink", "+get", "+set", "+eval", "+evalsha"),
    *("+echo", "+info", "+select", "+client|setname", "+scan", "+memory|usage"),
)
"""Those of the docstring of `ValkeyCache`."""


@asynccontextmanager
async def cache_on(addresses: Sequence[tuple[str, int]], **settings: Any) -> AsyncIterator[ValkeyCache]:
    """An open cache under a prefix of its own, emptied and closed in the end."""
    prefix = settings.pop("prefix", f"c{secrets.token_hex(6)}:")
    connection = Connection(addresses=addresses, search_clients=0, timeout=5.0, **settings)
    cache = ValkeyCache(connection, prefix=prefix, most_entries=MOST)
    await cache.open()
    try:
        yield cache
        await cache.open()
        await cache.clear()
    finally:
        await cache.close()


@contextmanager
def started(name: str, folder: Path, config: dict[str, str]) -> Iterator[Server]:
    """A server of the system by the name of its program; the test is skipped where there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} here")
    server = Server(Found((path,), None), folder, config=config)
    try:
        yield server.start()
    finally:
        server.kill()


class TestMemory(HotCacheContract):
    """The double."""

    @pytest.fixture
    def cache(self) -> HotCache:
        """A new one."""
        return MemoryHotCache(most_entries=MOST)


class TestServer(HotCacheContract):
    """The server of the other tests."""

    @pytest.fixture
    async def cache(self, plain_server: Endpoint) -> AsyncIterator[HotCache]:
        """In a database of its own."""
        async with cache_on([plain_server.address], database=DATABASE) as cache:
            yield cache


class TestCluster(HotCacheContract):
    """Three nodes."""

    @pytest.fixture
    async def cache(self, plain_cluster: Cluster) -> AsyncIterator[HotCache]:
        """The prefix separates."""
        async with cache_on(plain_cluster.addresses, cluster=True) as cache:
            yield cache


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of servers."""
    return Authority(tmp_path_factory.mktemp("authority"), "ca")


@pytest.fixture(scope="module", params=["valkey-server", "redis-server"])
def encrypted_server(
    request: pytest.FixtureRequest, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Each kind that is here, with a user of its own."""
    with started(request.param, tmp_path_factory.mktemp("server"), tls_config(authority)) as server:
        server.ask("ACL", "SETUSER", "cache", "on", f">{PASSWORD}", "~cache:*", *RIGHTS)
        yield server


@pytest.fixture(scope="module", params=["valkey-server", "redis-server"])
def other_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each kind that is here."""
    with started(request.param, tmp_path_factory.mktemp("server"), {}) as server:
        yield server


class TestEncrypted(HotCacheContract):
    """Over TLS, as a user with the least rights."""

    @pytest.fixture
    async def cache(self, encrypted_server: Server, authority: Authority) -> AsyncIterator[HotCache]:
        """Under the prefix that the user may write to."""
        address = (encrypted_server.host, int(str(encrypted_server.config["tls-port"])))
        tls = Tls(ca=authority.pair.certificate.read_bytes())
        login = {"username": "cache", "password": PASSWORD}
        async with cache_on([address], database=DATABASE, tls=tls, prefix="cache:", **login) as cache:
            yield cache


class TestOtherServers(HotCacheContract):
    """Valkey of the system, which is older, and Redis."""

    @pytest.fixture
    async def cache(self, other_server: Server) -> AsyncIterator[HotCache]:
        """In a database of its own."""
        async with cache_on([other_server.address], database=DATABASE) as cache:
            yield cache
