"""Records what a real server replies: ``python -m tests.recorded.record``."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from router_memory.backends.valkey import Connection, ValkeyStore
from router_memory.backends.valkey.schema import Shape, create_main, create_promoted
from router_memory.errors import BackendError
from router_memory.types import MemoryType, Scope
from tests.contract.samples import DIMENSION, FINGERPRINT, START, change, memory, query
from tests.recorded.form import FILE, encode, plain
from tests.servers.cluster import Cluster
from tests.servers.find import find
from tests.servers.process import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EPOCH", "NAMES", "act"]

EPOCH = "router_memory.backends.valkey.writes.new_epoch"
NAMES: dict[str, Any] = {"prefix": "rec:", "index_name": "rec_idx"}
ALICE, HOME = Scope("alice"), Scope("alice", "home")


async def act(store: ValkeyStore) -> list[Any]:
    """What is recorded, and replayed: a little of everything. Returns all answers."""
    epochs = count(1)
    with patch(EPOCH, lambda: f"{next(epochs):032x}"):
        await store.open()
        answers: list[Any] = [await store.candidates(query(ALICE))]
        writes = [memory(HOME, 1, stems={"tea": 1, "münchen": 2}), memory(HOME, 2, rows=3, type=MemoryType.EPISODIC)]
        answers.append(await store.add(HOME, writes))
        answers.append(await store.add(ALICE, [memory(ALICE, 3, stems={"tea": 1})]))
        name = writes[0].record.id
        answers.append(await store.update(HOME, name, change(memory(HOME, 4, stems={"pot": 1}), importance=0.75)))
        await store.touch(ALICE, [name], START)
        searches = (
            query(ALICE, 1),
            query(ALICE, 1, stems=("tea", "pot")),
            query(HOME, 1, stems=("n2",), types=frozenset({MemoryType.EPISODIC})),
            query(ALICE, None, stems=("tea", "absent")),
            query(Scope("bob"), 1, stems=("tea",)),
        )
        answers += [await store.candidates(wanted) for wanted in searches]
        answers.append(await store.statistics(ALICE, ["tea", "pot", "absent"]))
        answers.append(await store.list(ALICE, limit=2))
        answers.append(await store.get(HOME, name))
        answers.append(await store.contains(HOME, [name, "absent"]))
        answers.append(await store.count(ALICE))
        answers.append(await store.forget(ALICE, [name]))
        answers.append(await store.forget_scope(ALICE))
        answers.append(await store.count(ALICE))
    return answers


class _Spy(Connection):
    """A connection that keeps what goes through it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.calls: list[Any] = []
        self._within = False  # a call that is made of others

    def _keep(self, call: list[Any], reply: Any) -> None:
        if not self._within:
            self.calls.append([call, encode(reply)])

    async def command(
        self,
        operation: str,
        *args: Any,
        key: str | None = None,
        everywhere: bool = False,
        node: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as the connection has it
    ) -> Any:
        call = plain("command", [list(args), key, everywhere])
        try:
            reply = await super().command(operation, *args, key=key, everywhere=everywhere, node=node, timeout=timeout)
        except BackendError as error:
            self._keep(call, error.__cause__)
            raise
        self._keep(call, reply)
        return reply

    async def run(
        self,
        operation: str,
        script: str,
        keys: Sequence[Any],
        args: Sequence[Any],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as the connection has it
    ) -> Any:
        reply = await super().run(operation, script, keys, args, timeout=timeout)
        self._keep(plain("run", [list(keys), list(args)]), reply)
        return reply

    async def run_all(
        self, operation: str, script: str, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]], *, key: str
    ) -> list[Any]:
        self._within = True
        try:
            replies = await super().run_all(operation, script, calls, key=key)
        finally:
            self._within = False
        self._keep(plain("run_all", [[[list(keys), list(args)] for keys, args in calls], key]), replies)
        return replies

    async def pipeline(self, operation: str, commands: Sequence[Sequence[Any]], **options: Any) -> list[Any]:
        replies = await super().pipeline(operation, commands, **options)
        call = plain(
            "pipeline", [[list(command) for command in commands], options["key"], options.get("search", False)]
        )
        self._keep(call, replies)
        return replies


async def _calls(addresses: list[tuple[str, int]], *, cluster: bool, **options: Any) -> list[Any]:
    spy = _Spy(addresses=addresses, cluster=cluster)
    store = ValkeyStore(spy, dimension=DIMENSION, fingerprint=FINGERPRINT, **NAMES, **options)
    await act(store)
    calls = list(spy.calls)
    await store.close()
    return calls


async def _infos(address: tuple[str, int]) -> dict[str, Any]:
    """FT.INFO of each kind of index."""
    connection = Connection(addresses=[address])
    await connection.open()

    async def info(*create: str) -> Any:
        await connection.command("record", *create)
        return encode(await connection.command("record", "FT.INFO", create[1]))

    infos = {
        "flat": await info(*create_main("flat", "flat:", DIMENSION, Shape())),
        "hnsw": await info(*create_main("hnsw", "hnsw:", DIMENSION, Shape(index_type="hnsw", metric="L2"))),
        "promoted": await info(*create_promoted("p{x}", "p:{x}", DIMENSION, Shape(metric="IP"), 500)),
        "foreign": await info("FT.CREATE", "foreign", "ON", "HASH", "PREFIX", "1", "doc:", "SCHEMA", "title", "TAG"),
    }
    zeros = b"\1" * (4 * 256)
    for number in range(0, 6_000, 500):
        rows: list[list[str | bytes]] = [
            ["HSET", f"slow:{{{n}}}", "embedding", zeros[4:] + n.to_bytes(4)] for n in range(number, number + 500)
        ]
        await connection.pipeline("record", rows, key="slow:")
    slow = Shape(index_type="hnsw", m=64, ef_construction=2_000)
    infos["filling"] = await info(*create_main("slow", "slow:", 256, slow))
    await connection.close()
    return infos


async def _errors(server: Server) -> dict[str, Any]:
    """What glide makes of the server's refusals."""
    connection = Connection(addresses=[server.address])
    await connection.open()
    errors: dict[str, Any] = {}

    async def refuse(name: str, *command: str) -> None:
        try:
            await connection.command("record", *command)
        except BackendError as error:
            errors[name] = encode(error.__cause__)

    await refuse("missing index", "FT.SEARCH", "nowhere", "@user:{x}", "DIALECT", "2")
    await refuse("missing info", "FT.INFO", "nowhere")
    await refuse("index exists", *create_main("flat", "flat:", DIMENSION, Shape()))
    await refuse("syntax", "FT.SEARCH", "flat", "@user:{", "DIALECT", "2")
    await refuse("timeout", "FT.SEARCH", "flat", "@user:{x}", "TIMEOUT", "60001", "DIALECT", "2")
    await refuse("wrong type", "HGET", "text", "x") if await connection.command("record", "SET", "text", "x") else None
    await refuse("script", "EVAL", "return cjson.decode('x')", "0")
    await connection.command("record", "CONFIG", "SET", "maxmemory", "1")
    await refuse("out of memory", "SET", "a", "b")
    await refuse("search out of memory", "FT.SEARCH", "flat", "@user:{x}", "DIALECT", "2")
    await connection.command("record", "CONFIG", "SET", "maxmemory", "0")
    await connection.command("record", "REPLICAOF", "127.0.0.1", "1")
    await refuse("replica", "SET", "a", "b")
    await connection.close()
    return errors


async def _cluster_infos(cluster: Cluster) -> dict[str, Any]:
    connection = Connection(addresses=cluster.addresses, cluster=True)
    await connection.open()
    forms = {"one": (), "primary": ("PRIMARY",), "cluster": ("CLUSTER",)}
    infos = {
        name: encode(await connection.command("record", "FT.INFO", NAMES["index_name"], *form, key="rec:schema"))
        for name, form in forms.items()
    }
    await connection.close()
    return infos


async def _record(folder: Path) -> dict[str, Any]:
    server = Server(find(), folder / "one", search=True).start()
    cluster = Cluster(find(), folder / "many", search=True)
    try:
        cluster.start()
        held: dict[str, Any] = {
            "flat": await _calls([server.address], cluster=False),
            "cluster": await _calls(cluster.addresses, cluster=True, metric="IP"),
            "cluster infos": await _cluster_infos(cluster),
            "infos": await _infos(server.address),
            "errors": await _errors(server),
        }
        server.ask("REPLICAOF", "NO", "ONE")
        server.ask("FLUSHALL")
        for name in ("flat", "hnsw", "slow", "foreign", "p{x}", "rec_idx"):
            with suppress(Exception):
                server.ask("FT.DROPINDEX", name)
        held["hnsw"] = await _calls([server.address], cluster=False, metric="L2", index_type="hnsw")
        held["versions"] = _versions(server)
        return held
    finally:
        server.kill()
        cluster.close()


def _versions(server: Server) -> str:
    info = server.ask("INFO", "everything")
    assert isinstance(info, bytes)
    wanted = (b"valkey_version", b"module:name=search", b"search_version")
    return " ".join(line.decode() for line in info.splitlines() if line.startswith(wanted))


def main() -> None:
    """Writes the file."""
    with tempfile.TemporaryDirectory() as folder:
        held = asyncio.run(_record(Path(folder)))
    lines = [f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in held.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
