"""Fixtures for real servers. A missing one skips the test, or fails it where `ROUTER_MEMORY_REQUIRE` promises one."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest

from tests.servers.cluster import Cluster
from tests.servers.find import NO_SEARCH, NO_SERVER, Found, find, running
from tests.servers.process import Endpoint, Server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["OwnCluster", "OwnServer"]

PATIENT = {"cluster-node-timeout": "10000"}
"""Of clusters that nothing is taken away from: on a busy machine a node that is only slow is not replaced."""

_STARTED: pytest.StashKey[list[Server | Cluster]] = pytest.StashKey()


class OwnServer(Protocol):
    """Starts a server that belongs to one test."""

    def __call__(
        self,
        *,
        search: bool = False,
        config: Mapping[str, str | Sequence[str]] | None = None,
        module_args: Sequence[str] = (),
    ) -> Server: ...


class OwnCluster(Protocol):
    """Starts a cluster that belongs to one test."""

    def __call__(
        self, *, search: bool = False, replicas: int = 0, proxied: bool = False, config: dict[str, str] | None = None
    ) -> Cluster: ...


def _missing(reason: str, part: str) -> NoReturn:
    """Skips, unless the environment promises what is missing: ``ROUTER_MEMORY_REQUIRE=server`` or ``search``."""
    promised = os.environ.get("ROUTER_MEMORY_REQUIRE", "")
    if promised == "search" or promised == part:
        pytest.fail(f"ROUTER_MEMORY_REQUIRE={promised} promises it, but: {reason}", pytrace=False)
    pytest.skip(reason)


def _found(*, search: bool) -> Found:
    found = find()
    if not found.command:
        _missing(NO_SERVER, "server")
    if search and found.module is None:
        _missing(NO_SEARCH, "search")
    return found


@pytest.fixture(scope="session")
def search_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A server with Search that all tests share: each has a prefix of its own for keys and indexes; no flushing."""
    named = running()
    if named is not None:
        yield Endpoint(*named)
        return
    server = Server(_found(search=True), tmp_path_factory.mktemp("search-server"), search=True).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Any server at all, shared like `search_server`."""
    named = running()
    if named is not None and not find().command:
        yield Endpoint(*named)
        return
    server = Server(_found(search=False), tmp_path_factory.mktemp("plain-server")).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def search_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes with Search and its coordinator, shared like `search_server`."""
    cluster = Cluster(_found(search=True), tmp_path_factory.mktemp("search-cluster"), search=True, config=PATIENT)
    try:
        yield cluster.start()
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def plain_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes without Search, shared like `search_server`."""
    cluster = Cluster(_found(search=False), tmp_path_factory.mktemp("plain-cluster"), config=PATIENT)
    try:
        yield cluster.start()
    finally:
        cluster.close()


@pytest.fixture
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnServer]:
    """Starts servers that belong to this test alone; they are killed at its end."""
    started: list[Server] = []
    numbers = itertools.count()

    def start(
        *,
        search: bool = False,
        config: Mapping[str, str | Sequence[str]] | None = None,
        module_args: Sequence[str] = (),
    ) -> Server:
        folder = tmp_path / f"server-{next(numbers)}"
        server = Server(_found(search=search), folder, search=search, module_args=module_args, config=config)
        started.append(server)
        request.node.stash.setdefault(_STARTED, []).append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def own_cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnCluster]:
    """Starts clusters that belong to this test alone; they are killed at its end."""
    started: list[Cluster] = []
    numbers = itertools.count()

    def start(
        *, search: bool = False, replicas: int = 0, proxied: bool = False, config: dict[str, str] | None = None
    ) -> Cluster:
        folder = tmp_path / f"cluster-{next(numbers)}"
        cluster = Cluster(
            _found(search=search), folder, search=search, replicas=replicas, proxied=proxied, config=config
        )
        started.append(cluster)
        request.node.stash.setdefault(_STARTED, []).append(cluster)
        return cluster.start()

    yield start
    for cluster in started:
        cluster.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows the end of its servers' logs."""
    report = yield
    if report.failed:
        for server in item.stash.get(_STARTED, []):
            report.sections.append(("server log", server.log()))
    return report
