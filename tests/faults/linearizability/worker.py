"""One process of the test: a whole plugin of its own, several tasks that write, forget and search at random.

Run as a module with the path of a JSON file, see `Plan`. It says ``ready`` and begins once it reads a line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from router_memory import MemoryPlugin, Scope
from router_memory.cache import lull
from router_memory.config import load_config
from router_memory.errors import BackendError
from router_memory.types import MemoryType, record_id
from router_memory.wiring import Assembly
from tests.faults.linearizability.delays import Pauses, intercepted
from tests.faults.linearizability.history import Kind, Operation, write
from tests.faults.linearizability.mutations import MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Plan"]

_TEXTS = ("Which seat do I book?", "Where did I put the red lantern?", "What does the harbour look like in winter?")
_WORDS = ("seat", "window", "lantern", "harbour", "winter", "book", "red", "garden", "train", "bread")
_LIMIT = 200
_MOST_OF_A_USER = 24
"""Far fewer than a search shows, so that none is left out for its rank."""
_AGAIN = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process is to do.

    Attributes:
        process: Its number.
        config: The configuration, as a mapping.
        history: Where it writes what it did.
        operations: How many.
        tasks: How many at once.
        users: Whose memories.
        seed: Of everything random in it.
        mutation: The name of a defect, empty for none.
    """

    process: int
    config: dict[str, Any]
    history: str
    operations: int
    tasks: int
    users: tuple[str, ...]
    seed: int
    mutation: str = ""


@dataclass(slots=True)
class _Worker:
    """The tasks of a process, and what they share."""

    plan: Plan
    plugin: MemoryPlugin
    random: Random
    done: list[Operation] = field(default_factory=list)
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    begun: int = 0
    written: int = 0

    async def run(self) -> None:
        """All of it."""
        await asyncio.gather(*(self._task() for _ in range(self.plan.tasks)))

    async def _task(self) -> None:
        while self.begun < self.plan.operations:
            user = self.random.choice(self.plan.users)
            kind = self.random.random()
            if kind < 0.12:
                await self._write(user)
            elif kind < 0.40:
                await self._burst(user)
            else:
                await self._in_a_row(user)

    async def _write(self, user: str) -> None:
        seen = self.seen.get(user, {})
        kind = self.random.random()
        if not seen or (kind < 0.5 and len(seen) < _MOST_OF_A_USER):
            await self._add(user)
        elif kind < 0.7:
            await self._update(user, self.random.choice(sorted(seen)))
        elif kind < 0.98:
            await self._forget(user, self.random.sample(sorted(seen), min(len(seen), self.random.randint(1, 3))))
        else:
            await self._forget_scope(user)

    async def _burst(self, user: str) -> None:
        """Equal questions at the same moment, or some that meet those of before a write of this process."""
        if self.random.random() < 0.5:
            text = self.random.choice(_TEXTS)
            await asyncio.gather(*(self._search(user, text) for _ in range(_AGAIN)))
            return
        before = [asyncio.create_task(self._search(user, text)) for text in _TEXTS]
        await asyncio.sleep(self.random.uniform(0, 0.005))
        await self._write(user)
        await asyncio.gather(*before, *(self._search(user, text) for text in _TEXTS))

    async def _in_a_row(self, user: str) -> None:
        text = self.random.choice(_TEXTS)
        for _ in range(self.random.randint(1, _AGAIN)):
            await self._search(user, text)

    # -- the operations

    async def _add(self, user: str) -> None:
        content = self._content()
        asked = {record_id(Scope(user), content=content, type=MemoryType.SEMANTIC.value): content}

        async def add() -> dict[str, str]:
            record = await self.plugin.add(Scope(user), content)
            return asked | {record.id: record.content}  # another one where somebody has updated the first already

        await self._did(Kind.ADD, user, asked, add)

    async def _update(self, user: str, name: str) -> None:
        content = self._content()

        async def update() -> dict[str, str]:
            record = await self.plugin.update(Scope(user), name, content=content)
            return {} if record is None else {name: content}

        await self._did(Kind.UPDATE, user, {name: content}, update)

    async def _forget(self, user: str, names: list[str]) -> None:
        forgotten = dict.fromkeys(names, "")

        async def forget() -> dict[str, str]:
            await self.plugin.forget(Scope(user), *names)
            return forgotten

        await self._did(Kind.FORGET, user, forgotten, forget)

    async def _forget_scope(self, user: str) -> None:
        async def forget() -> dict[str, str]:
            await self.plugin.forget_scope(Scope(user))
            return {}

        await self._did(Kind.FORGET_SCOPE, user, {}, forget)

    async def _search(self, user: str, text: str) -> None:
        self.begun += 1
        began = time.monotonic()
        try:
            found = await self.plugin.recollect(Scope(user), text, limit=_LIMIT, threshold=0.0, cutoff="fixed")
        except BackendError:
            self.done.append(Operation(self.plan.process, Kind.SEARCH, user, began))
            return
        shown = {hit.record.id: hit.record.content for hit in found.hits}
        self.seen[user] = shown
        level = str(found.cache)
        self.done.append(Operation(self.plan.process, Kind.SEARCH, user, began, time.monotonic(), shown, level))

    async def _did(
        self, kind: Kind, user: str, asked: dict[str, str], work: Callable[[], Awaitable[dict[str, str]]]
    ) -> None:
        """Notes a write. One that failed may have taken effect, at any time from its beginning on."""
        self.begun += 1
        began = time.monotonic()
        try:
            memories = await work()
        except BackendError:
            self.done.append(Operation(self.plan.process, kind, user, began, memories=asked))
        else:
            self.done.append(Operation(self.plan.process, kind, user, began, time.monotonic(), memories))

    def _content(self) -> str:
        """A text that nobody else writes."""
        self.written += 1
        words = " ".join(self.random.sample(_WORDS, 3))
        return f"note p{self.plan.process}n{self.written} about {words}"


async def _work(plan: Plan) -> None:
    random = Random(f"{plan.seed}/{plan.process}")
    if plan.mutation:
        MUTATIONS[plan.mutation]()
    with intercepted(Pauses(random)) as make_embedder:
        if plan.process % 2:  # they are never idle, and level 2 is to answer often; the others fill as shipped, late
            lull._BEFORE_SECONDS = 0.0
        async with MemoryPlugin(Assembly(load_config(plan.config), make_embedder)) as plugin:
            worker = _Worker(plan, plugin, random)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.readline)
            await worker.run()
    write(Path(plan.history), worker.done)


if __name__ == "__main__":
    asyncio.run(_work(Plan(**orjson.loads(Path(sys.argv[1]).read_bytes()))))
