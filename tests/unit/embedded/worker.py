"""A process of its own that works on a store: ``python -m tests.unit.embedded.worker talk|write FILE …``.

``talk`` answers one line of JSON for each line it reads. ``write`` adds, updates and forgets until it
is killed, and notes in a file what it is about to do and what was acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from router_memory.types import MemoryChange, Scope
from tests.contract.samples import START, ids, memory, query
from tests.unit.embedded.stores import embedded, opened

if TYPE_CHECKING:
    from router_memory.backends.embedded import EmbeddedStore
    from router_memory.types import MemoryWrite

ALICE = Scope("alice")
USERS = (Scope("alice"), Scope("alice", "home"), Scope("bob"))


def written(seed: int) -> MemoryWrite:
    """The memory of a seed, of a user and a form that follow from it."""
    return memory(USERS[seed % 3], seed, rows=1 + seed % 2, stems={"memory": 1, f"n{seed}": 2, f"m{seed % 10}": 1})


async def answer(store: EmbeddedStore, command: str, seeds: list[int]) -> list[str]:
    """What one line asks for: ``add``, ``forget`` or ``search``."""
    if command == "add":
        return [status.value for status in await store.add(ALICE, [memory(ALICE, seed) for seed in seeds])]
    if command == "forget":
        return [str(await store.forget(ALICE, ids([memory(ALICE, seed) for seed in seeds])))]
    found = await store.candidates(query(ALICE, 0, stems=("memory",)))
    return sorted(candidate.record.id for candidate in found.candidates)


async def talk(path: Path) -> None:
    """Answers until the input ends."""
    async with opened(path) as store:
        for line in sys.stdin:
            command, *seeds = line.split()
            sys.stdout.write(json.dumps(await answer(store, command, [int(seed) for seed in seeds])) + "\n")
            sys.stdout.flush()


async def write(path: Path, journal: Path, first: int, promote_at: int) -> None:
    """Writes until killed; seeds count up from `first`.

    The journal gets ``+ seed`` once an add is acknowledged, ``? seed`` before a forget and ``- seed`` after.
    """
    log = os.open(journal, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    chance = random.Random(first)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    store = embedded(path, synchronous="full", promote_at=promote_at, busy_timeout_ms=30_000)
    await store.open()
    mine: list[int] = []
    seed = first
    while True:
        scope, count = USERS[seed % 3], chance.randint(1, 4)
        batch = list(range(seed, seed + 3 * count, 3))  # all of one user
        seed += 3 * count + chance.choice((1, 2))
        await store.add(scope, [written(number) for number in batch])
        os.write(log, "".join(f"+ {number}\n" for number in batch).encode())
        mine += batch
        if chance.random() < 0.2:
            old, new = chance.choice(mine), written(chance.randrange(1_000))
            change = MemoryChange(at=START, content="updated", document=new.document, vectors=new.vectors)
            await store.update(USERS[old % 3], ids([written(old)])[0], change)
        if chance.random() < 0.2:
            old = mine.pop(chance.randrange(len(mine)))
            os.write(log, f"? {old}\n".encode())
            await store.forget(USERS[old % 3], ids([written(old)]))
            os.write(log, f"- {old}\n".encode())


if __name__ == "__main__":
    if sys.argv[1] == "talk":
        asyncio.run(talk(Path(sys.argv[2])))
    else:
        asyncio.run(write(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
