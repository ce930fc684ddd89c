"""The Valkey store against the model of the embedded store's tests, over random sequences of calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from router_memory.backends.valkey import Connection, ValkeyStore
from router_memory.types import Scope
from tests.contract.samples import DIMENSION, FINGERPRINT
from tests.property.test_store_state import STEMS, StoreMachine
from tests.servers.census import census
from tests.servers.stores import clear, fresh_names

if TYPE_CHECKING:
    from tests.servers.cluster import Cluster
    from tests.servers.process import Endpoint

_SETTINGS = settings(
    max_examples=6,
    stateful_step_count=20,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
_LONG = settings(_SETTINGS, max_examples=40, stateful_step_count=60)


class ValkeyMachine(StoreMachine):
    """The rules of the embedded store's machine; what is stored is recounted key by key after each of them.

    Args:
        addresses: Of the server or the nodes.
        options: Of the store.
    """

    def __init__(self, addresses: list[tuple[str, int]], cluster: bool = False, **options: Any) -> None:
        super().__init__()
        self.addresses = addresses
        self.cluster = cluster
        self.names: dict[str, Any] = dict(fresh_names())
        self.chosen = options

    def _new_store(self) -> ValkeyStore:  # type: ignore[override]
        store = ValkeyStore(
            Connection(addresses=self.addresses, cluster=self.cluster),
            dimension=DIMENSION,
            fingerprint=FINGERPRINT,
            **self.names,
            **self.chosen,
        )
        self.run(store.open())
        return store

    @rule()
    def lose_scripts(self) -> None:
        """A server that was started anew knows no script."""
        for host, port in self.addresses:
            _ask(host, port, "SCRIPT", "FLUSH")

    @invariant()
    def what_is_stored_adds_up(self) -> None:
        """Every counter equals a recount of the memories, and there is no key besides."""
        for host, port in self.addresses:
            assert census(host, port, self.names["prefix"]).faults() == []

    @invariant()
    def statistics_are_exact(self) -> None:
        for user, held in self.model.items():
            found = self.run(self.store.statistics(Scope(user), STEMS))
            counts = Counter(stem for write in held.values() for stem in write.document.stems)
            assert (found.documents, dict(found.frequency)) == (len(held), dict(counts))

    def teardown(self) -> None:
        super().teardown()
        asyncio.run(clear(self.addresses, self.names["prefix"], self.names["index_name"], cluster=self.cluster))


def _run(chosen: settings, addresses: list[tuple[str, int]], **options: Any) -> None:
    machine: Any = partial(ValkeyMachine, addresses, **options)
    run_state_machine_as_test(machine, settings=chosen)


def _ask(host: str, port: int, *args: str) -> None:
    from tests.servers.resp import ask

    ask(port, *args, host=host)


@pytest.mark.parametrize("options", [{}, {"promote_at": 0}], ids=["exact", "graphs"])
def test_random_calls_keep_to_the_model(search_server: Endpoint, options: dict[str, Any]) -> None:
    """Reads and writes of several users and projects, with the store reopened in between."""
    _run(_SETTINGS, [search_server.address], **options)


@pytest.mark.full
@pytest.mark.parametrize(
    "options",
    [{}, {"promote_at": 0}, {"metric": "L2"}, {"index_type": "hnsw", "ef_runtime": 2_000}],
    ids=["exact", "graphs", "l2", "one graph"],
)
def test_random_calls_keep_to_the_model_for_long(search_server: Endpoint, options: dict[str, Any]) -> None:
    """Many more and longer sequences."""
    _run(_LONG, [search_server.address], **options)


@pytest.mark.full
def test_random_calls_on_a_cluster_keep_to_the_model(search_cluster: Cluster) -> None:
    """The users lie on three nodes."""
    _run(settings(_SETTINGS, max_examples=20, stateful_step_count=40), search_cluster.addresses, cluster=True)
