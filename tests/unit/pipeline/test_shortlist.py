"""A shortlist cut at a threshold is what a search with that threshold gives, and says what was just below it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.pipeline.shortlist import MOST_SELECTIONS, Shortlist, _known_of
from router_memory.plugin.describe import describe
from router_memory.types import (
    CutoffRule,
    RankingMode,
    RecallPolicy,
    ReflectionAlgorithm,
    ReflectionPolicy,
    Retrieved,
    Scope,
    Turn,
)

if TYPE_CHECKING:
    from router_memory import MemoryPlugin
    from tests.unit.conftest import Opener

ANN = Scope("ann")
START = datetime(2026, 3, 1, tzinfo=UTC)
SAID = [
    "On planes I always take the aisle seat",
    "On planes I always take the aisle seat!",
    "The seat of my bicycle is worn",
    "My dog needs a tablet in the morning",
    "The aisle of the church was full",
    "Planes are loud and I sleep badly on them",
    "I would rather go by train than on planes, for a seat by the window",
    "We moved to Leeds in April",
]
QUERY = "which aisle seat do I take on planes?"
POLICY = RecallPolicy(limit=3, threshold=0.0)
REFLECTION = ReflectionPolicy(max_inject_tokens=110)


async def filled(memory: MemoryPlugin) -> None:
    turns = [
        Turn(role="user", content=text, position=n, created_at=START + timedelta(days=n)) for n, text in enumerate(SAID)
    ]
    await memory.remember(ANN, "c1", turns)


async def shortlist(
    memory: MemoryPlugin, policy: RecallPolicy = POLICY, reflection: ReflectionPolicy = REFLECTION
) -> Shortlist:
    recall = memory._parts.recall
    return await recall.shortlist(ANN, QUERY, policy, reflection=reflection, now=START + timedelta(days=30))


@pytest.mark.parametrize("rule", CutoffRule)
async def test_every_cut_is_the_search_with_that_threshold(opened: Opener, rule: CutoffRule) -> None:
    """Also after other cuts: none of them leaves anything behind."""
    async with opened() as memory:
        await filled(memory)
        whole = await shortlist(memory)
        sizes = set()
        for step in (*range(0, 101, 5), 60, 0):
            policy = replace(POLICY, threshold=step / 100, cutoff=rule)
            found = await memory._parts.recall.recollect(
                ANN, QUERY, policy, reflection=REFLECTION, now=START + timedelta(days=30)
            )
            again = whole.recollection(step / 100, rule)
            assert replace(again, seconds={}) == replace(found, seconds={})
            assert whole.select(step / 100, rule).hits == found.hits
            sizes.add(len(found.hits))
        assert len(sizes) > 1


async def test_what_was_just_below_says_what_it_lacked(opened: Opener) -> None:
    async with opened() as memory:
        await filled(memory)
        whole = await shortlist(memory, reflection=ReflectionPolicy())
        similarities = [hit.similarity for hit in whole.select(0.0, CutoffRule.FIXED).hits]
        threshold = (min(similarities) + max(similarities)) / 2
        found = whole.recollection(threshold, CutoffRule.FIXED)
        assert [miss.id for miss in found.misses] == [hit.record.id for hit in found.below]
        for hit, miss in zip(found.below, found.misses, strict=True):
            assert miss.by == pytest.approx(max(threshold - hit.similarity, 0.0))
        below = [miss for miss in found.misses if miss.by]
        assert below[0].why.startswith(f"{below[0].by:.3f} below the threshold")


async def test_a_full_limit_and_a_late_rank_are_reasons_too(opened: Opener) -> None:
    async with opened() as memory:
        await filled(memory)
        found = (await shortlist(memory, reflection=ReflectionPolicy())).recollection(0.0, CutoffRule.FIXED)
        whys = [miss.why for miss in found.misses]
        assert len(found.hits) == 3
        assert whys[:2] == ["reached the threshold, but better ones fill the limit of 3"] * 2
        assert whys[2] == "ranked 7, and the cut-off looks at the best 5 besides 1 filtered out"
        assert [miss.rank for miss in found.misses] == sorted(miss.rank for miss in found.misses)
        assert {drop.hit.record.content for drop in found.dropped} < set(SAID[:2])


async def test_what_a_filter_drops_is_none_of_the_best_that_are_looked_at(opened: Opener) -> None:
    async with opened() as memory:
        await filled(memory)
        for patterns, why in {
            (): "ranked 6, and the cut-off looks at the best 5",
            ("aisle seat$", "aisle seat!$"): "ranked 8, and the cut-off looks at the best 5 besides 2 filtered out",
        }.items():
            reflection = ReflectionPolicy(
                algorithm=ReflectionAlgorithm.NOOP, block_patterns=tuple(map(re.compile, patterns))
            )
            found = (await shortlist(memory, reflection=reflection)).recollection(0.0, CutoffRule.FIXED)
            assert len(found.dropped) == len(patterns)
            assert found.misses[2].why == why


async def test_the_shares_of_the_signals(opened: Opener) -> None:
    """Signed like the contributions; their magnitudes add up to 1; in the JSON too."""
    async with opened() as memory:
        await filled(memory)
        found = (await shortlist(memory)).recollection(0.0, CutoffRule.FIXED)
        for hit in found.hits:
            assert sum(map(abs, hit.shares.values())) == pytest.approx(1.0)
            assert all((hit.shares[name] < 0) is (value < 0) for name, value in hit.signals.items())
        described = describe(found)
        assert [hit["shares"] for hit in described["hits"]] == [dict(hit.shares) for hit in found.hits]
        assert [miss["id"] for miss in described["misses"]] == [hit["record"]["id"] for hit in described["below"]]
    assert set(replace(found.hits[0], signals={"dense": 0.0}).shares.values()) == {0.0}


async def test_a_selection_that_no_filter_has_a_say_in_is_made_once(opened: Opener) -> None:
    """Whoever asks again, at whatever time; another limit, threshold or rule is another selection."""
    reflection = ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP)
    async with opened() as memory:
        await filled(memory)
        first = await shortlist(memory, reflection=reflection)
        options: dict[str, Any] = {"mode": POLICY.mode, "reflection": reflection, "visible": (), "clipped": False}
        options |= {"now": START + timedelta(days=900), "seconds": {}, "starts": {}}
        again = Shortlist(first._found, first._ranked, limit=POLICY.limit, **options)
        one = first.select(0.0, CutoffRule.FIXED)
        assert again.select(0.0, CutoffRule.FIXED) is one
        for threshold, rule in ((0.6, CutoffRule.FIXED), (0.0, CutoffRule.ELBOW)):
            assert again.select(threshold, rule) is not one
        wider = Shortlist(first._found, first._ranked, limit=4, **options)
        assert [len(one.hits), len(wider.select(0.0, CutoffRule.FIXED).hits)] == [3, 4]


async def test_what_a_request_shows_or_a_filter_drops_is_never_remembered(opened: Opener) -> None:
    """It depends on the messages, and a budget on the time."""
    plain = ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP)
    visible = [{"role": "user", "content": SAID[0]}]
    async with opened() as memory:
        await filled(memory)
        whole = await shortlist(memory, reflection=plain)
        options: dict[str, Any] = {
            "limit": 3,
            "mode": POLICY.mode,
            "clipped": False,
            "seconds": {},
            "starts": {},
            "now": START,
        }
        before = whole.select(0.0, CutoffRule.FIXED)
        shown = Shortlist(whole._found, whole._ranked, reflection=plain, visible=visible, **options)
        assert SAID[0] not in {hit.record.content for hit in shown.select(0.0, CutoffRule.FIXED).hits}
        strict = replace(REFLECTION, max_inject_tokens=1)
        short = Shortlist(whole._found, whole._ranked, reflection=strict, visible=(), **options)
        assert len(short.select(0.0, CutoffRule.FIXED).hits) == 1
        assert whole.select(0.0, CutoffRule.FIXED) is before


async def test_what_is_remembered_changes_no_result(opened: Opener) -> None:
    """Whatever was asked before of the same answer: by other modes, limits, filters, budgets, messages and times."""
    policies = [
        ReflectionPolicy(algorithm=algorithm, dedup_threshold=share, max_inject_tokens=tokens, block_patterns=patterns)
        for algorithm in ReflectionAlgorithm
        for share, tokens, patterns in (
            (0.9, 2048, ()),
            (0.1, 2048, ()),
            (0.9, 100, ()),
            (0.9, 100, (re.compile("dog"),)),
        )
    ]
    async with opened() as memory:
        await filled(memory)
        kept = (await shortlist(memory))._found.retrieval
        for reflection, limit, mode in product(policies, (1, 3, 6), (RankingMode.RERANK, RankingMode.RRF)):
            for visible, days in (((), 0), ((), 400), ([{"role": "user", "content": SAID[2]}], 0)):
                made = []
                for retrieval in (kept, replace(kept, memo={})):
                    ranked = memory._parts.recall._ranked(retrieval, mode)
                    options: dict[str, Any] = {"clipped": False, "seconds": {}, "starts": {}, "visible": visible}
                    options |= {"limit": limit, "mode": mode, "now": START + timedelta(days=days)}
                    one = Shortlist(Retrieved(retrieval), ranked, reflection=reflection, **options)
                    made.append([one.select(share, rule) for share in (0.0, 0.4) for rule in CutoffRule])
                assert made[0] == made[1]


async def test_pairs_and_sizes_are_remembered_once_for_all_orders(opened: Opener) -> None:
    """They are of the memories; so three hybrid modes take no more memory than one."""
    async with opened() as memory:
        await filled(memory)
        kept = (await shortlist(memory))._found.retrieval
        known = set()
        for mode in (RankingMode.RERANK, RankingMode.WEIGHTED, RankingMode.RRF):
            ranked = memory._parts.recall._ranked(kept, mode)
            Shortlist(
                Retrieved(kept),
                ranked,
                limit=len(SAID),
                mode=mode,
                reflection=REFLECTION,
                visible=(),
                now=START,
                clipped=False,
                seconds={},
                starts={},
            ).select(0.0, CutoffRule.FIXED)
            assert not ranked.memo
            known.add(id(_known_of(kept)))
        assert len(known) == 1
        assert 0 < len(_known_of(kept).sizes) <= len(kept.records)


async def test_few_selections_are_remembered(opened: Opener) -> None:
    """However many thresholds are tried; all of them are right."""
    async with opened() as memory:
        await filled(memory)
        whole = await shortlist(memory, reflection=ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP))
        for step in range(3 * MOST_SELECTIONS):
            threshold = step / 50
            made = whole.select(threshold, CutoffRule.FIXED)
            assert all(hit.similarity >= threshold for hit in made.hits)
        assert len(whole._ranked.memo["selections"]) == MOST_SELECTIONS
