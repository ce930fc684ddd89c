"""Who may read the files: memories are the owner's alone where the store creates them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from router_memory.types import Scope
from tests.contract.samples import memories
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALICE = Scope("alice")


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """The one under which everything is readable by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_what_is_created_is_the_owners_alone(tmp_path: Path) -> None:
    """The folder, the file, its log and the graphs."""
    path = tmp_path / "new" / "memories.db"
    async with opened(path, promote_at=2) as store:
        await store.add(ALICE, memories(ALICE, 5))
        await store.settle()
        modes = {entry.name: _mode(entry) for entry in path.parent.iterdir()}
    assert modes == {
        "memories.db": 0o600,
        "memories.db-wal": 0o600,
        "memories.db-shm": 0o600,
        "memories.db.hnsw": 0o700,
    }
    assert _mode(path.parent) == 0o700


async def test_what_is_there_keeps_its_rights(tmp_path: Path) -> None:
    """An operator who shares the folder or the file meant it."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    path = folder / "memories.db"
    path.touch(mode=0o640)
    for _ in range(2):
        async with opened(path) as store:
            await store.add(ALICE, memories(ALICE, 2))
    assert (_mode(folder), _mode(path)) == (0o755, 0o640)
