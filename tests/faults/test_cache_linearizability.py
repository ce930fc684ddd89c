"""Eight processes write, forget and search at once, with delays between every two steps: no search is ever stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles import HashingEmbedder
from tests.faults.linearizability.checker import check
from tests.faults.linearizability.history import Kind
from tests.faults.linearizability.processes import levels, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.faults.linearizability.history import Operation
    from tests.servers.fixtures import OwnServer

QUICK, FULL = 2_000, 20_000
EPOCH_MAX_AGE_MS = 100
LEAST_SHARE = 0.02
"""Of the searches, that each level must have answered; else the test says nothing about it."""


def embedded(folder: Path, **cache: Any) -> dict[str, Any]:
    """A store in a file that all processes share."""
    return _config(
        {"backend": "embedded", "embedded": {"path": str(folder / "shared.db"), "synchronous": "normal"}}, cache
    )


def on_valkey(store: tuple[str, int], **cache: Any) -> dict[str, Any]:
    """A store on a server."""
    valkey = {"host": store[0], "port": store[1], "dimension": HashingEmbedder.dimension, "timeout": 10.0}
    return _config({"backend": "valkey", "valkey": valkey}, cache)


def _config(store: dict[str, Any], cache: dict[str, Any]) -> dict[str, Any]:
    section = {
        "enabled": True,
        "hybrid_search": True,
        "redis_cache": {"enabled": True, "db": 1, "cache_timeout_ms": 2000} | cache,
    } | store
    return {"global": {"stores": {"memory": section}}}


def address(server: Any) -> str:
    return "{}:{}".format(*server.address)


def proved(operations: Sequence[Operation], *, least: int, bound: float = 0.0) -> None:
    """Nothing was stale, and the cache was in use while nothing was."""
    violations = check(operations, bound=bound)
    assert not violations, f"{len(violations)} of {len(operations)} operations, first {violations[:3]}"
    assert len(operations) >= least
    failed = [operation for operation in operations if operation.ended == float("inf")]
    assert len(failed) < 0.02 * len(operations)
    kinds = {operation.kind for operation in operations}
    rare = {Kind.FORGET_SCOPE} if least < FULL else set()
    assert kinds | rare == set(Kind)
    shares = levels(operations)
    for level in ("level 1", "level 2", "joined"):
        assert shares.get(level, 0.0) >= LEAST_SHARE, shares


@pytest.mark.parametrize(
    "operations", [pytest.param(QUICK, id="quick"), pytest.param(FULL, id="full", marks=pytest.mark.full)]
)
def test_no_search_is_stale_over_a_shared_file(own_server: OwnServer, tmp_path: Path, operations: int) -> None:
    server = own_server()
    config = embedded(tmp_path, address=address(server))
    proved(run(tmp_path, config, operations=operations), least=operations)


@pytest.mark.parametrize(
    "operations", [pytest.param(QUICK, id="quick"), pytest.param(FULL, id="full", marks=pytest.mark.full)]
)
def test_no_search_is_stale_over_valkey(own_server: OwnServer, tmp_path: Path, operations: int) -> None:
    """Store and cache are databases 0 and 1 of one server."""
    server = own_server(search=True)
    config = on_valkey(server.address, address=address(server))
    proved(run(tmp_path, config, operations=operations), least=operations)


@pytest.mark.parametrize(
    "operations", [pytest.param(QUICK // 3, id="quick"), pytest.param(FULL, id="full", marks=pytest.mark.full)]
)
def test_bounded_coherence_keeps_its_bound(own_server: OwnServer, tmp_path: Path, operations: int) -> None:
    """The writes of other processes show within the bound, its own at once."""
    server = own_server()
    cache = {"address": address(server), "coherence": "bounded", "epoch_max_age_ms": EPOCH_MAX_AGE_MS}
    done = run(tmp_path, embedded(tmp_path, **cache), operations=operations, seed=2)
    proved(done, least=operations, bound=EPOCH_MAX_AGE_MS / 1000)


@pytest.mark.parametrize(
    "mutation", ["reads an epoch now and then", "joins without looking", "takes any state from level 2"]
)
def test_a_defect_is_found(own_server: OwnServer, tmp_path: Path, mutation: str) -> None:
    """The same run over a broken cache fails: the proof can fail."""
    server = own_server()
    config = embedded(tmp_path, address=address(server))
    assert check(run(tmp_path, config, operations=2000, processes=3, users=("ana",), mutation=mutation))


def test_a_defect_of_bounded_coherence_is_found(own_server: OwnServer, tmp_path: Path) -> None:
    server = own_server()
    cache = {"address": address(server), "coherence": "bounded", "epoch_max_age_ms": EPOCH_MAX_AGE_MS}
    config = embedded(tmp_path, **cache)
    mutation = "remembers through own writes"
    done = run(tmp_path, config, operations=2000, processes=3, users=("ana",), mutation=mutation)
    assert check(done, bound=EPOCH_MAX_AGE_MS / 1000)
