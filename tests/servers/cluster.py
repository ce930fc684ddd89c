"""A cluster of server processes on the loopback interface."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.servers.ports import BUS, node_port
from tests.servers.process import Server, ServerDied
from tests.servers.proxy import Proxy
from tests.servers.resp import ServerSaid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.find import Found

__all__ = ["Cluster", "slot"]

_SLOTS = 16_384
_SECONDS = 30.0
_POLL_SECONDS = 0.02
_LOG_LINES = 5
_POLYNOMIAL = 0x1021


def slot(key: str) -> int:
    """The slot of a key: CRC-16 of its hash tag, or of the whole key, modulo 16,384."""
    opening = key.find("{")
    closing = key.find("}", opening + 1)
    tagged = key[opening + 1 : closing] if opening >= 0 and closing > opening + 1 else key
    crc = 0
    for byte in tagged.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ _POLYNOMIAL if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % _SLOTS


class Cluster:
    """Primaries that share the slots evenly, each with so many replicas.

    A lost node leaves the others at work (``cluster-require-full-coverage no``), as the documentation recommends.

    Args:
        found: What to start.
        folder: Where the nodes have their folders.
        search: Whether to load the Search module, with its coordinator.
        primaries: How many primaries.
        replicas: How many replicas each has.
        proxied: Whether clients reach each node through a proxy, found in `proxies`.
        config: Directives for every node.
    """

    def __init__(
        self,
        found: Found,
        folder: Path,
        *,
        search: bool = False,
        primaries: int = 3,
        replicas: int = 0,
        proxied: bool = False,
        config: dict[str, str] | None = None,
    ) -> None:
        self.nodes: list[Server] = []
        self.proxies: list[Proxy] = []
        self.primaries = primaries
        for number in range(primaries * (1 + replicas)):
            port = node_port()
            announced: dict[str, str] = {}
            if proxied:
                self.proxies.append(Proxy(port))
                announced = {
                    "cluster-announce-port": str(self.proxies[-1].port),
                    "cluster-announce-bus-port": str(port + BUS),
                }
            settings = {
                "cluster-enabled": "yes",
                "cluster-node-timeout": "2000",
                "cluster-require-full-coverage": "no",
            }
            self.nodes.append(
                Server(
                    found,
                    folder / str(number),
                    port=port,
                    search=search,
                    module_args=("--use-coordinator",) if search else (),
                    config=settings | announced | (config or {}),
                ).start()
            )

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where clients reach the nodes."""
        if self.proxies:
            return [("127.0.0.1", proxy.port) for proxy in self.proxies]
        return [node.address for node in self.nodes]

    def node_of(self, key: str) -> int:
        """The number of the primary that holds a key."""
        return slot(key) * self.primaries // _SLOTS

    def key_on(self, number: int, stem: str = "k") -> str:
        """A key that the primary of this number holds."""
        return next(key for key in (f"{stem}:{{{count}}}" for count in range(_SLOTS)) if self.node_of(key) == number)

    def start(self) -> Cluster:
        """Joins the nodes and waits until they agree."""
        for proxy in self.proxies:
            proxy.start()
        first = self.nodes[0]
        for number in range(self.primaries):
            low = -(-_SLOTS * number // self.primaries)
            high = -(-_SLOTS * (number + 1) // self.primaries) - 1
            self.nodes[number].ask("CLUSTER", "ADDSLOTSRANGE", str(low), str(high))
            self.nodes[number].ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", first.host, str(first.port), str(first.port + BUS))
        self._wait("every node known", lambda: all(self._known(node) == len(self.nodes) for node in self.nodes))
        for number, node in enumerate(self.nodes[self.primaries :]):
            primary = self.nodes[number % self.primaries].ask("CLUSTER", "MYID")
            assert isinstance(primary, bytes)
            node.ask("CLUSTER", "REPLICATE", primary)
        self.wait()
        for number in range(self.primaries):
            self.nodes[number].ask("SET", self.key_on(number), "", "PX", "1")  # something for its replicas to have
        self._wait("clients told of all", lambda: all(self._told(node) == len(self.nodes) for node in self.nodes))
        return self

    def close(self) -> None:
        """Kills every node."""
        for proxy in self.proxies:
            proxy.close()
        for node in self.nodes:
            node.kill()

    def wait(self) -> None:
        """Waits until every node sees the cluster whole, after one was restarted for instance."""
        self._wait("cluster_state ok", lambda: all(self._agrees(node) for node in self.nodes))

    def log(self) -> str:
        """The ends of the nodes' logs."""
        return "\n".join(f"--- {node.port}\n{node.log(lines=_LOG_LINES)}" for node in self.nodes)

    # -- inside

    def _known(self, node: Server) -> int:
        nodes = node.ask("CLUSTER", "NODES")
        assert isinstance(nodes, bytes)
        return sum(b"handshake" not in line and b"fail" not in line for line in nodes.splitlines())

    def _agrees(self, node: Server) -> bool:
        info = node.ask("CLUSTER", "INFO")
        assert isinstance(info, bytes)
        whole = b"cluster_state:ok" in info and b"cluster_slots_ok:16384" in info
        return whole and self._known(node) == len(self.nodes)

    def _told(self, node: Server) -> int:
        """How many nodes it tells clients of: a replica only once it has some of its primary's data."""
        shards = node.ask("CLUSTER", "SLOTS")
        assert isinstance(shards, list)
        return sum(len(shard) - 2 for shard in shards if isinstance(shard, list))

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            try:
                if done():
                    return
            except (OSError, ServerSaid):
                pass
            time.sleep(_POLL_SECONDS)
        raise ServerDied(f"the cluster did not get as far as {what}:\n{self.log()}")
