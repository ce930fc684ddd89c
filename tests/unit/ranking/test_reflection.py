"""What is dropped between the ranking and the injection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from router_memory.ranking import Reflection
from router_memory.ranking.reflection import MOST_REMEMBERED, Compared, normalised, shows
from router_memory.types import Hit, MemoryRecord, ReflectionAlgorithm, ReflectionPolicy, Scope

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ALGORITHMS = list(ReflectionAlgorithm)


def hit(content: str, *, days: float = 0, similarity: float = 0.8) -> Hit:
    at = NOW - timedelta(days=days)
    record = MemoryRecord(id=content, scope=Scope("u"), content=content, created_at=at, updated_at=at)
    return Hit(record, similarity, similarity, 0.6, 1.0, {})


def reflection(policy: ReflectionPolicy | None = None, visible: Sequence[str] = ()) -> Reflection:
    return Reflection(
        policy or ReflectionPolicy(),
        now=NOW,
        visible=visible,
        tokens_of=lambda one: len(one.record.content),
        overhead=0,
    )


def admitted(made: Reflection, *hits: Hit) -> list[str]:
    kept: list[Hit] = []
    for one in hits:
        kept = made.admit(kept, one)
    return [one.record.content for one in kept]


TWINS = (hit("I like green tea", days=9), hit("I like green tea!", days=1), hit("I don't like green tea", days=2))


def test_of_near_duplicates_the_better_ranked_stays() -> None:
    """A negation makes another sentence."""
    made = reflection()
    assert admitted(made, *TWINS) == ["I like green tea", "I don't like green tea"]
    assert [(drop.hit.record.content, drop.why) for drop in made.dropped] == [("I like green tea!", "near-duplicate")]


def test_recency_semantic_keeps_the_newer_near_duplicate_in_its_place() -> None:
    """The order of the rest stays."""
    made = reflection(ReflectionPolicy(algorithm=ReflectionAlgorithm.RECENCY_SEMANTIC))
    assert admitted(made, *TWINS) == ["I like green tea!", "I don't like green tea"]


def test_noop_keeps_near_duplicates_and_knows_no_budget() -> None:
    """It filters nothing of its own accord."""
    made = reflection(ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP, max_inject_tokens=1))
    assert len(admitted(made, *TWINS)) == 3
    assert made.within_budget(TWINS) == list(TWINS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_block_pattern_holds_under_every_algorithm(algorithm: ReflectionAlgorithm) -> None:
    """What an operator blocks is never injected."""
    policy = ReflectionPolicy(algorithm=algorithm, block_patterns=(re.compile("PIN"),))
    made = reflection(policy)
    assert admitted(made, hit("My PIN is 4711"), hit("I like tea")) == ["I like tea"]
    assert made.dropped[0].why == "matches a block pattern"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_visible_is_dropped_under_every_algorithm(algorithm: ReflectionAlgorithm) -> None:
    """Case and white space do not hide it, nor does the markup an earlier block escaped."""
    made = reflection(ReflectionPolicy(algorithm=algorithm), visible=["Earlier:  I LIKE\n&lt;b&gt;tea", "", "x"])
    assert admitted(made, hit("I like <b>tea"), hit("I like coffee")) == ["I like coffee"]


@pytest.mark.parametrize(
    ("text", "content", "seen"),
    [
        ("i like tea.", "i like tea", True),
        ("i like teaching", "i like tea", False),
        ("chai like tea", "i like tea", False),
        ("i like teaching and i like tea", "i like tea", True),
        ("(tea)", "(tea)", True),
    ],
)
def test_only_whole_words_count_as_visible(text: str, content: str, seen: bool) -> None:
    """A sentence is not shown by the beginning of another one."""
    assert shows(normalised(text), normalised(content)) is seen


def test_the_first_memory_is_always_kept() -> None:
    """Even when it alone is over the budget."""
    made = reflection(ReflectionPolicy(max_inject_tokens=3))
    assert [one.record.content for one in made.within_budget([hit("long enough"), hit("short")])] == ["long enough"]


def test_a_short_budget_drops_the_older_ones_first() -> None:
    """Recency decides what is dropped, never the order of what is left."""
    first, old, new = hit("a" * 10), hit("b" * 10, days=90, similarity=0.9), hit("c" * 10, days=1, similarity=0.7)
    made = reflection(ReflectionPolicy(max_inject_tokens=20, recency_decay_days=30))
    assert made.within_budget([first, old, new]) == [first, new]
    assert [(drop.hit, drop.why) for drop in made.dropped] == [(old, "over the token budget")]


def test_a_small_memory_fits_behind_one_that_does_not() -> None:
    """The budget is used."""
    made = reflection(ReflectionPolicy(max_inject_tokens=15))
    hits = [hit("a" * 10), hit("b" * 10), hit("c" * 5, days=3)]
    assert made.within_budget(hits) == [hits[0], hits[2]]


def test_a_memory_from_the_future_is_as_new_as_now() -> None:
    """A clock that jumped back gives no bonus."""
    made = reflection(ReflectionPolicy(max_inject_tokens=20))
    hits = [hit("a" * 10), hit("b" * 10, days=-900, similarity=0.7), hit("c" * 10, similarity=0.8)]
    assert made.within_budget(hits) == [hits[0], hits[2]]


@pytest.mark.parametrize("visible", [(), [""], ["", ""]])
def test_where_nothing_is_dropped_all_may_be_admitted_at_once(visible: Sequence[str]) -> None:
    """It is what admitting one by one comes to."""
    made = reflection(ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP), visible)
    assert made.admits_all
    hits = [*TWINS, *TWINS, hit(""), hit("tea")]
    assert [admitted(made, *hits), made.dropped] == [[one.record.content for one in hits], []]


POLICIES = [
    ReflectionPolicy(),
    ReflectionPolicy(algorithm=ReflectionAlgorithm.RECENCY_SEMANTIC),
    ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP),
    ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP, block_patterns=(re.compile("milk"),)),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["default", "recency", "noop", "pattern"])
@pytest.mark.parametrize("visible", [(), ["we talk of nothing"], ["I like green tea, you know"]])
def test_all_are_admitted_at_once_only_where_nothing_can_be_dropped(
    policy: ReflectionPolicy, visible: Sequence[str]
) -> None:
    """A filter, a pattern or a text to compare may drop any hit."""
    made = reflection(policy, visible)
    assert made.admits_all == (policy is POLICIES[2] and not visible)
    hits = [*TWINS, hit("milk")]
    kept = admitted(made, *hits)
    assert kept == [one.record.content for one in hits] or not made.admits_all


def test_memories_that_were_compared_are_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another request either; another threshold is another comparison, and the result is the same."""
    compared: Compared = {}
    found = [[one.record.content for one in _admitted_beside(compared, ReflectionPolicy())]]
    monkeypatch.setattr(Reflection, "_are_alike", lambda *_: pytest.fail("compared again"))
    found.append([one.record.content for one in _admitted_beside(compared, ReflectionPolicy())])
    assert found[0] == found[1] == ["I like green tea", "I don't like green tea"]
    with pytest.raises(pytest.fail.Exception, match="compared again"):
        _admitted_beside(compared, ReflectionPolicy(dedup_threshold=0.5))


def test_few_comparisons_are_remembered() -> None:
    """A search for many memories leaves no more behind than one for a few."""
    compared: Compared = {}
    hits = [hit(f"tea number {number}") for number in range(40)]
    assert len(_admitted_beside(compared, ReflectionPolicy(), hits)) == 40
    assert len(compared) == MOST_REMEMBERED


def _admitted_beside(compared: Compared, policy: ReflectionPolicy, hits: Sequence[Hit] = TWINS) -> list[Hit]:
    made = Reflection(policy, now=NOW, visible=(), tokens_of=lambda _: 1, overhead=0, compared=compared)
    kept: list[Hit] = []
    for one in hits:
        kept = made.admit(kept, one)
    return kept
