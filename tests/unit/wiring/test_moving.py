"""Memories move from the embedded store to a Valkey server and back, by the commands and by the library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from router_memory import MemoryPlugin, Scope
from router_memory.cli.entry import run
from tests.doubles import HashingEmbedder
from tests.servers.stores import clear, fresh_names
from tests.unit.library.test_transfer import record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router_memory import MemoryRecord
    from tests.servers.process import Endpoint

RECORDS = [
    *(record(seed) for seed in range(300)),
    record(1, Scope(" a,{b}|*\u2028", "é"), content="long " * 2_000, accessed_at=None, access_count=0),
    record(2, Scope("🦊"), role=None, speaker=None, conversation_id=None, importance=1 / 3),
    record(3, Scope("x" * 10_000), content="Zoë said:\n“it's 5 µm”\u2028 \x1b"),
]


@pytest.fixture(autouse=True)
def _embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router_memory.wiring.BertEmbedder", lambda *_, **__: HashingEmbedder())


def written(folder: Path, name: str, **memory: Any) -> Path:
    """A configuration file; JSON is YAML too."""
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({"global": {"stores": {"memory": {"enabled": True, **memory}}}}))
    return path


@pytest.fixture
async def configs(search_server: Endpoint, tmp_path: Path) -> AsyncIterator[tuple[Path, Path, Path]]:
    """Embedded, Valkey, and another embedded one."""
    host, port = search_server.address
    names = fresh_names()
    prefix, index = names["prefix"], names["index_name"]
    valkey = {"host": host, "port": port, "collection_prefix": prefix, "index_name": index}
    yield (
        written(tmp_path, "from", embedded={"path": str(tmp_path / "from.db")}),
        written(tmp_path, "valkey", backend="valkey", valkey=valkey),
        written(tmp_path, "to", embedded={"path": str(tmp_path / "to.db")}),
    )
    await clear([search_server.address], prefix, index, cluster=False)


async def held(config: Path) -> dict[tuple[str, str], MemoryRecord]:
    async with MemoryPlugin.open(config, warm=False) as memory:
        return {(each.scope.user_id, each.id): each async for each in memory.export()}


async def test_there_and_back_by_the_library(configs: tuple[Path, Path, Path]) -> None:
    """Every record is the same at every station, and is found there."""
    here, there, back = configs
    async with MemoryPlugin.open(here) as memory:
        await memory.restore(RECORDS)
    expected = {(each.scope.user_id, each.id): each for each in RECORDS}
    assert await held(here) == expected
    for source, target in ((here, there), (there, back), (back, here)):
        async with MemoryPlugin.open(source, warm=False) as old, MemoryPlugin.open(target) as new:
            done = await new.restore(old.export())
            assert (done.stored, done.merged) == ((0, len(RECORDS)) if target == here else (len(RECORDS), 0))
            (hit,) = await new.search(Scope("🦊"), "memory number 2", threshold=0.9)
            assert hit.record == expected["🦊", hit.record.id]
        assert await held(target) == expected


def test_there_and_back_by_the_commands(
    configs: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files are the same, line by line."""
    first = tmp_path / "0.ndjson"
    from router_memory.storage.portable import to_line

    first.write_text("".join(f"{to_line(each)}\n" for each in RECORDS))
    for number, config in enumerate(configs):
        assert run(["import", str(tmp_path / f"{number}.ndjson"), "--config", str(config)]) == 0
        assert f"{len(RECORDS)} memories stored" in capsys.readouterr().out
        assert (
            run(["export", "--all", "--config", str(config), "--output", str(tmp_path / f"{number + 1}.ndjson")]) == 0
        )
        assert f"{len(RECORDS)} memories of 6 users" in capsys.readouterr().out
        written_lines = (tmp_path / f"{number + 1}.ndjson").read_bytes().split(b"\n")
        assert sorted(written_lines) == sorted(first.read_bytes().split(b"\n"))
