"""The same calls on two stores, and the comparison of what they answer.

Cosines are float32 arithmetic in two programs, so they agree to `TOLERANCE` only, and memories whose cosines are that
close may change places. At the edge of the dense channel one store may therefore keep one of them and the other store
another: such exchanges are accepted where the cosines match, and nothing else is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from router_memory.types import CandidateQuery, MemoryChange, MemoryType, MemoryWrite, Scope
from tests.contract.samples import START, change, memory, unit_vectors

if TYPE_CHECKING:
    from router_memory.protocols import MemoryStore
    from router_memory.types import CandidateSet

__all__ = ["Step", "Twins", "steps"]

TOLERANCE = 1e-4
USERS = ("a", "A", "a,b", "*")
PROJECTS = (None, "p", "P")
STEMS = ("tea", "pot", "cup", "🦊", "it's", "a|b", "{x}")
_PAGES = 40


@dataclass(frozen=True, slots=True)
class Step:
    """One call.

    Attributes:
        call: Name of the method of `Twins`.
        owner: The scope; the user id gets the example's number behind it.
        arguments: Of the method.
    """

    call: str
    owner: tuple[str, str | None]
    arguments: dict[str, Any]


_scopes = st.tuples(st.sampled_from(USERS), st.sampled_from(PROJECTS))
_seeds = st.integers(0, 40)
_types = st.frozensets(st.sampled_from(MemoryType), max_size=2)
_held = st.dictionaries(st.sampled_from(STEMS), st.integers(1, 3), max_size=4)
_wanted = st.lists(st.sampled_from((*STEMS, "absent")), max_size=3, unique=True).map(tuple)
_some = st.lists(st.integers(0, 200), min_size=1, max_size=4)
_memories = st.fixed_dictionaries(
    {
        "seed": _seeds,
        "vectors": st.integers(0, 9),  # few, so that memories stand in the same place
        "rows": st.integers(1, 4),
        "stems": _held,
        "kind": st.sampled_from(MemoryType),
        "position": st.integers(0, 2),
        "importance": st.floats(0, 1),
    }
)


def _step(call: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.just(call), _scopes, st.fixed_dictionaries(arguments))


steps = st.one_of(
    _step("add", batch=st.lists(_memories, min_size=1, max_size=6)),
    _step("add", batch=st.lists(_memories, min_size=1, max_size=6)),
    _step(
        "update", which=st.integers(0, 200), text=st.none() | _memories, kind=st.none() | st.sampled_from(MemoryType)
    ),
    _step("forget", which=_some),
    _step("forget_scope", types=_types, minutes=st.none() | _seeds),
    _step("touch", which=_some, minutes=_seeds),
    _step("pages", types=_types, limit=st.integers(1, 9)),
    _step("search", seed=_seeds, types=_types, wanted=_wanted, limit=st.integers(1, 12)),
    _step("search", seed=_seeds, types=_types, wanted=_wanted, limit=st.integers(1, 12)),
)
"""A random call."""


@dataclass
class Twins:
    """Two stores that are to be alike.

    Attributes:
        one, other: The stores; `one` is exact.
        distinct: Whether no two memories stand in the same place, where graphs lose some of them.
        example: Makes the users of an example its own.
        asked, found: Hits of `one` in all dense searches, and how many of them `other` had too.
    """

    one: MemoryStore
    other: MemoryStore
    distinct: bool = False
    example: int = 0
    asked: int = 0
    found: int = 0
    known: list[str] = field(default_factory=list)
    now: datetime = START

    async def step(self, step: Step) -> None:
        """Makes a call on both, and compares its answer and the user's statistics, counts and epoch."""
        user, project = step.owner
        scope = Scope(f"{user}/{self.example}", project)
        before = await self._epochs(scope)
        await getattr(self, step.call)(scope, **step.arguments)
        after = await self._epochs(scope)
        assert (before[0] == after[0]) == (before[1] == after[1]), "one store took it for a write, the other did not"
        await self._equal("statistics", Scope(scope.user_id), STEMS, without_epoch=True)
        await self._equal("count", scope)

    # -- the calls

    async def add(self, scope: Scope, batch: list[dict[str, Any]]) -> None:
        """Adds memories of several vectors."""
        writes = [self._write(scope, **fields) for fields in batch]
        self.known += [write.record.id for write in writes]
        await self._equal("add", scope, writes)

    async def update(self, scope: Scope, which: int, text: dict[str, Any] | None, kind: MemoryType | None) -> None:
        """Updates text, type or both."""
        if text is None:
            made = MemoryChange(at=START, type=kind, importance=0.25)
        else:
            made = change(self._write(scope, **text), type=kind)
        await self._equal("update", scope, self._id(which), made)

    async def forget(self, scope: Scope, which: list[int]) -> None:
        """Forgets some."""
        await self._equal("forget", scope, [self._id(index) for index in which])

    async def forget_scope(self, scope: Scope, types: frozenset[MemoryType], minutes: int | None) -> None:
        """Forgets all or the older ones."""
        older = None if minutes is None else _write(scope, seed=minutes).record.created_at
        await self._equal("forget_scope", scope, types=types, older_than=older)

    async def touch(self, scope: Scope, which: list[int], minutes: int) -> None:
        """Counts accesses, each later than the one before."""
        names = [self._id(index) for index in which]
        self.now += timedelta(minutes=1 + minutes)
        await self._equal("touch", scope, names, self.now)
        await self._equal("contains", scope, names)
        await self._equal("get", scope, names[0])

    async def pages(self, scope: Scope, types: frozenset[MemoryType], limit: int) -> None:
        """Reads the whole list."""
        cursor = None
        for _ in range(_PAGES):
            page = await self._equal("list", scope, types=types, limit=limit, cursor=cursor)
            cursor = page.cursor
            if cursor is None:
                break
        await self._equal("count", scope, types=types)

    async def search(
        self, scope: Scope, seed: int, types: frozenset[MemoryType], wanted: tuple[str, ...], limit: int
    ) -> None:
        """Searches by vector, by stems, and by both."""
        dense = CandidateQuery(scope=scope, vector=unit_vectors(1_000 + seed)[0], dense_limit=limit, types=types)
        lexical = replace(dense, vector=None, stems=wanted)
        near = [await store.candidates(dense) for store in (self.one, self.other)]
        self._compare_dense(*near)
        holding = [await store.candidates(lexical) for store in (self.one, self.other)]
        assert _records(holding[0]) == _records(holding[1])
        for store, nearest, with_stems in zip((self.one, self.other), near, holding, strict=True):
            self._compare_union(await store.candidates(replace(dense, stems=wanted)), nearest, with_stems)

    # -- comparisons

    async def totals(self) -> None:
        """Compares what operators see."""
        stats = [await store.stats() for store in (self.one, self.other)]
        alike = [(found.memories, found.users, found.dimension, found.fingerprint) for found in stats]
        assert alike[0] == alike[1]

    def recall(self) -> float:
        """The share of the exact store's hits that the other one found."""
        return self.found / self.asked if self.asked else 1.0

    async def _equal(self, call: str, *arguments: Any, without_epoch: bool = False, **named: Any) -> Any:
        one = await getattr(self.one, call)(*arguments, **named)
        other = await getattr(self.other, call)(*arguments, **named)
        if without_epoch:
            assert bool(one.epoch) == bool(other.epoch)
            other = replace(other, epoch=one.epoch)
        assert one == other, call
        return one

    async def _epochs(self, scope: Scope) -> list[str]:
        return [(await store.statistics(scope, [])).epoch for store in (self.one, self.other)]

    def _compare_dense(self, one: CandidateSet, other: CandidateSet) -> None:
        expected, found = _cosines(one), _cosines(other)
        records, other_records = _records(one), _records(other)
        common = expected.keys() & found.keys()
        self.asked += len(expected)
        for name in common:
            assert abs(expected[name] - found[name]) <= TOLERANCE
            assert records[name] == other_records[name]
        assert len(expected) == len(found)
        matched = _matched(sorted(expected.values()), sorted(found.values()))
        self.found += matched
        if other.exact:
            assert matched == len(expected), f"cosines {expected} and {found}"

    def _compare_union(self, both: CandidateSet, near: CandidateSet, holding: CandidateSet) -> None:
        """A search through both channels gives what each of them gives alone, but for ties at the edge."""
        cosines = _cosines(near) | _cosines(both)
        edge = min(_cosines(near).values(), default=0.0)
        different = set(_records(both)) ^ (set(_records(near)) | set(_records(holding)))
        assert not both.exact or all(abs(cosines[name] - edge) <= TOLERANCE for name in different)
        known = _cosines(near)
        assert all(abs(known.get(name, cosine) - cosine) <= TOLERANCE for name, cosine in _cosines(both).items())

    def _write(self, scope: Scope, **fields: Any) -> MemoryWrite:
        write = _write(scope, **fields)
        if not self.distinct:
            return write
        place = int(write.record.id[:8], 16) + self.example
        return replace(write, vectors=unit_vectors(place, len(write.vectors)))

    def _id(self, index: int) -> str:
        return self.known[index % len(self.known)] if self.known else "unknown"


def _write(
    scope: Scope,
    *,
    seed: int,
    vectors: int = 0,
    rows: int = 1,
    stems: dict[str, int] | None = None,
    kind: MemoryType = MemoryType.SEMANTIC,
    position: int = 0,
    importance: float = 0.5,
) -> MemoryWrite:
    return memory(
        scope,
        seed,
        stems=stems or {},
        vectors=unit_vectors(vectors, rows),
        type=kind,
        position=position,
        importance=importance,
        conversation_id="c",
    )


def _matched(expected: list[float], found: list[float]) -> int:
    """How many of two sorted lists of cosines are the same."""
    matched = at = 0
    for value in expected:
        while at < len(found) and found[at] < value - TOLERANCE:
            at += 1
        if at < len(found) and math.isclose(found[at], value, abs_tol=TOLERANCE):
            matched, at = matched + 1, at + 1
    return matched


def _records(result: CandidateSet) -> dict[str, Any]:
    """What was found, without the count of accesses: the embedded store may give the one its snapshot was made with."""
    return {
        found.record.id: (replace(found.record, access_count=0, accessed_at=None), found.document, found.parts)
        for found in result.candidates
    }


def _cosines(result: CandidateSet) -> dict[str, float]:
    return {found.record.id: found.cosine for found in result.candidates}
