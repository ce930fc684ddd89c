"""Several real processes on one file: what they see of each other, and what is left when they are killed."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest

from router_memory.types import Scope, WriteStatus
from tests.contract.samples import ids, memory, query
from tests.unit.embedded.stores import opened
from tests.unit.embedded.worker import ALICE, USERS, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from router_memory.backends.embedded import EmbeddedStore

_ROUNDS = 20
_LONGEST_LIFE = 1.5
_SEEDS_OF_A_WRITER = 100_000


def _start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.unit.embedded.worker", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


class Talker:
    """The other process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._in, self._out = _pipe(process.stdin), _pipe(process.stdout)

    def ask(self, command: str) -> list[str]:
        """Its answer to one line."""
        self._in.write(command + "\n")
        self._in.flush()
        answer: list[str] = json.loads(self._out.readline())
        return answer


@contextmanager
def another_process(path: Path) -> Iterator[Talker]:
    """A process with an open store on the file."""
    process = _start("talk", path)
    try:
        yield Talker(process)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            _pipe(pipe).close()


async def _search(store: EmbeddedStore) -> list[str]:
    return sorted(found.record.id for found in (await store.candidates(query(ALICE, 0))).candidates)


async def test_two_processes_see_each_others_writes(tmp_path: Path) -> None:
    """Each one's next search shows what the other has added or forgotten, with stores and snapshots open in both."""
    path = tmp_path / "memories.db"
    one, two, three = (ids([memory(ALICE, seed)]) for seed in (1, 2, 3))
    async with opened(path) as store:
        with another_process(path) as other:
            assert await store.add(ALICE, [memory(ALICE, 1)]) == [WriteStatus.STORED]
            assert other.ask("search") == one == await _search(store)
            assert other.ask("add 1 2") == ["merged", "stored"]
            assert await _search(store) == sorted(one + two)
            assert await store.add(ALICE, [memory(ALICE, 2), memory(ALICE, 3)]) == [
                WriteStatus.MERGED,
                WriteStatus.STORED,
            ]
            assert other.ask("search") == sorted(one + two + three)
            assert other.ask("forget 1") == ["1"]
            assert await _search(store) == sorted(two + three)
            assert await store.forget_scope(ALICE) == 2
            assert other.ask("search") == []
        assert other is not None
        assert await store.add(ALICE, [memory(ALICE, 1)]) == [WriteStatus.STORED]


def _let_die(path: Path, journals: list[Path], chance: random.Random, number: int) -> None:
    """Starts a writer for each journal, and kills each at a moment of its own."""
    promote_at = chance.choice((20, 20_000))
    first = [(number * len(journals) + index) * _SEEDS_OF_A_WRITER for index in range(len(journals))]
    writers = [_start("write", path, journal, seed, promote_at) for journal, seed in zip(journals, first, strict=True)]
    try:
        for writer in writers:
            assert _pipe(writer.stdout).readline() == "ready\n"
        start = time.monotonic()
        ends = [chance.uniform(0, _LONGEST_LIFE) for _ in writers]
        for end, writer in sorted(zip(ends, writers, strict=True), key=lambda pair: pair[0]):
            time.sleep(max(0.0, start + end - time.monotonic()))
            assert writer.poll() is None, "a writer gave up before it was killed"
            writer.kill()
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            for pipe in (writer.stdin, writer.stdout):
                _pipe(pipe).close()


def _outcome(journals: list[Path]) -> tuple[set[int], set[int]]:
    """The seeds whose memories must be there, and those of which a forget was under way."""
    there: set[int] = set()
    unknown: set[int] = set()
    for journal in journals:
        lines = journal.read_text().split("\n")[:-1] if journal.exists() else []
        for mark, seed in ((line[0], int(line[2:])) for line in lines):
            {"+": there.add, "?": unknown.add, "-": unknown.discard}[mark](seed)
            if mark == "?":
                there.discard(seed)
    return there, unknown


def _recount(path: Path) -> None:
    """Compares everything that is kept of the records with the records themselves."""
    connection = sqlite3.connect(path)

    def rows(statement: str) -> list[tuple[object, ...]]:
        return sorted(connection.execute(statement).fetchall())

    try:
        assert rows("PRAGMA integrity_check") == [("ok",)]
        documents = connection.execute("SELECT user, number, document FROM records").fetchall()
        postings = [(user, stem, number) for user, number, document in documents for stem in json.loads(document)]
        assert rows("SELECT user, stem, record FROM postings") == sorted(postings)
        held = Counter((user, stem) for user, stem, _ in postings)
        assert rows("SELECT user, stem, documents FROM stems") == sorted((*key, count) for key, count in held.items())
        assert rows("SELECT key, documents, length_sum, vectors FROM users") == rows(
            "SELECT user, count(*), sum(length), sum(vector_count) FROM records GROUP BY user"
        )
        assert rows("SELECT user, project, type, memories FROM tallies") == rows(
            "SELECT user, project, type, count(*) FROM records GROUP BY user, project, type"
        )
        assert rows("SELECT user, record, min(number), count(*) FROM vectors GROUP BY user, record") == rows(
            "SELECT user, number, vector_first, vector_count FROM records"
        )
    finally:
        connection.close()


async def _replay(store: EmbeddedStore, seeds: set[int]) -> set[WriteStatus]:
    """What becomes of the writes when they are made again."""
    outcomes: set[WriteStatus] = set()
    for scope in USERS:
        batch = [written(seed) for seed in sorted(seeds) if USERS[seed % 3] == scope]
        outcomes.update(await store.add(scope, batch))
    return outcomes


async def _check(path: Path, there: set[int], unknown: set[int], writers: int) -> None:
    async with opened(path) as store:
        assert await _replay(store, there) <= {WriteStatus.MERGED}
        stats = await store.stats()
        most = len(there) + len(unknown) + 4 * writers  # a batch under way may have been stored, too
        assert len(there) <= stats.memories <= most
        for user in (Scope("alice"), Scope("bob")):
            count = await store.count(user)
            statistics = await store.statistics(user, ["memory"])
            assert (statistics.documents, statistics.frequency.get("memory", 0)) == (count, count)
            found = await store.candidates(query(user, 1, dense_limit=100_000))
            assert len(found.candidates) == count
    _recount(path)


@pytest.mark.full
async def test_two_writers_killed_again_and_again_lose_nothing(tmp_path: Path) -> None:
    """Twenty times two processes write to one file and are killed with -9 at random moments.

    Every memory that was acknowledged is there, everything kept of the memories agrees with them, the file
    is whole, and a replay merges (reference defect 8).
    """
    path, chance = tmp_path / "memories.db", random.Random(20_260_301)
    journals: list[Path] = []
    for number in range(_ROUNDS):
        fresh = [tmp_path / f"journal {number} {index}" for index in range(2)]
        journals += fresh
        _let_die(path, fresh, chance, number)
        there, unknown = _outcome(journals)
        await _check(path, there, unknown, len(journals))
    assert len(there) > 10 * _ROUNDS
