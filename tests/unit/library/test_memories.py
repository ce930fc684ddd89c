"""The memories themselves: add, get, list, update, forget, search."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from router_memory import MemoryType, Scope
from router_memory.errors import BackendUnavailable, InvalidRequest, RouterMemoryError
from router_memory.types import MemoryWrite, WriteStatus
from tests.doubles import HashingEmbedder
from tests.unit.conftest import Opener

ANA = Scope("ana")


async def test_add_then_search(opened: Opener) -> None:
    """The README's example."""
    async with opened() as memory:
        record = await memory.add(ANA, "prefers aisle seats", type="semantic")
        hits = await memory.search(ANA, "which seats?", limit=5, threshold=0.0)
    assert [hit.record.id for hit in hits] == [record.id]


async def test_adding_the_same_twice_is_one_memory(opened: Opener) -> None:
    """The id is a digest of scope, type and content."""
    async with opened() as memory:
        first = await memory.add(ANA, "prefers aisle seats")
        again = await memory.add(ANA, "  prefers aisle seats\n")
        other = await memory.add(ANA, "prefers aisle seats", type=MemoryType.EPISODIC)
        assert await memory.count(ANA) == 2
    assert first == again
    assert other.id != first.id


@pytest.mark.parametrize("content", ["", "  \n\t ", "\x00", 7, None, b"bytes", "x" * 1_000_000])
async def test_content_that_cannot_be_stored_is_refused(opened: Opener, content: Any) -> None:
    """A typed error that names the field; nothing is stored."""
    async with opened() as memory:
        if content == "\x00":
            assert (await memory.add(ANA, content)).content == "�"
            return
        with pytest.raises(InvalidRequest) as caught:
            await memory.add(ANA, content)
        assert await memory.count(ANA) == 0
    assert caught.value.field == "content"


@pytest.mark.parametrize(
    "user",
    ["x" * 10_000, "a,b", 'quo"te', "new\nline", "*", "👩‍🍳", "@user:{x}", "a\x00b", "'; DROP TABLE records; --", " a"],
)
async def test_any_user_id_is_just_an_id(opened: Opener, user: str) -> None:
    """Long, odd and hostile ids own their memories and nobody else's."""
    async with opened() as memory:
        await memory.add(Scope(user), "prefers aisle seats")
        assert await memory.count(Scope(user)) == 1
        assert await memory.count(Scope(user + "x")) == 0
        assert await memory.search(Scope("a"), "aisle seats", threshold=0.0) == []


@pytest.mark.parametrize("user", ["", "  ", None, 3, "a\ud800", "x" * 70_000])
def test_a_user_id_that_cannot_be_one_is_refused(user: Any) -> None:
    """At once, where the scope is made."""
    with pytest.raises(InvalidRequest):
        Scope(user)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 10**9}, "limit"),
        ({"limit": 2.5}, "limit"),
        ({"limit": True}, "limit"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": 2}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"types": ["factual"]}, "type"),
        ({"mode": "magic"}, "mode"),
        ({"cutoff": "magic"}, "cutoff"),
    ],
)
async def test_search_arguments_out_of_range_are_refused(opened: Opener, arguments: dict[str, Any], field: str) -> None:
    """Each with the name of the argument."""
    async with opened() as memory:
        with pytest.raises(InvalidRequest) as caught:
            await memory.recollect(ANA, "which seats?", **arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("query", ["", " \n", None, 5])
async def test_a_blank_query_is_refused(opened: Opener, query: Any) -> None:
    """There is nothing to search for."""
    async with opened() as memory:
        with pytest.raises(InvalidRequest):
            await memory.search(ANA, query)


async def test_a_megabyte_of_query_is_searched_for(opened: Opener) -> None:
    """By its two ends; see `QUERY_CHARS`."""
    async with opened() as memory:
        await memory.add(ANA, "prefers aisle seats")
        hits = await memory.search(ANA, "aisle seats " + "x" * 1_000_000, threshold=0.0)
    assert len(hits) == 1


async def test_surrogates_in_a_query_cost_nothing(opened: Opener) -> None:
    """A query cut inside an emoji is still a query."""
    async with opened() as memory:
        await memory.add(ANA, "prefers aisle seats")
        assert await memory.search(ANA, "aisle seats \ud83d\x00", threshold=0.0)


async def test_update_embeds_new_content_and_keeps_the_rest(opened: Opener, embedder: HashingEmbedder) -> None:
    """The reference keeps the old embedding and resets access_count (defect 7)."""
    async with opened() as memory:
        before = await memory.add(ANA, "prefers aisle seats", importance=0.9)
        after = await memory.update(ANA, before.id, content="prefers window seats")
        assert after is not None
        found = await memory.search(ANA, "window", threshold=0.6)
    assert embedder.passages[-1] == "prefers window seats"
    assert (after.id, after.created_at, after.importance) == (before.id, before.created_at, 0.9)
    assert after.updated_at >= before.updated_at
    assert [hit.record.content for hit in found] == ["prefers window seats"]


async def test_updates_of_different_fields_both_hold(opened: Opener) -> None:
    """No update writes back what it had read."""
    async with opened() as memory:
        record = await memory.add(ANA, "prefers aisle seats")
        await asyncio.gather(
            memory.update(ANA, record.id, content="prefers window seats"), memory.update(ANA, record.id, importance=0.9)
        )
        after = await memory.get(ANA, record.id)
    assert after is not None
    assert (after.content, after.importance) == ("prefers window seats", 0.9)


async def test_an_update_without_content_embeds_nothing(opened: Opener, embedder: HashingEmbedder) -> None:
    """Type and importance need no model."""
    async with opened() as memory:
        record = await memory.add(ANA, "prefers aisle seats")
        embedder.passages.clear()
        after = await memory.update(ANA, record.id, type="episodic", importance=0.1)
    assert after is not None
    assert (after.type, after.importance, after.content) == (MemoryType.EPISODIC, 0.1, "prefers aisle seats")
    assert embedder.passages == []


async def test_an_update_right_after_an_add_does_not_make_it_add_again(opened: Opener) -> None:
    """Another process may see and change a memory before its `add` has returned."""
    async with opened() as memory:
        store, add = memory._parts.store, memory._parts.store.add

        async def add_then_change(scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
            statuses = await add(scope, writes)
            store.add = add  # type: ignore[method-assign]
            await memory.update(scope, writes[0].record.id, content="prefers window seats")
            return statuses

        store.add = add_then_change  # type: ignore[method-assign]
        await memory.add(ANA, "prefers aisle seats")
        (kept,) = (await memory.list(ANA)).records
        assert kept.content == "prefers window seats"


async def test_content_that_was_changed_away_can_be_added_again(opened: Opener) -> None:
    """Its first id stands for other words now."""
    async with opened() as memory:
        first = await memory.add(ANA, "prefers aisle seats")
        await memory.update(ANA, first.id, content="prefers window seats")
        again = await memory.add(ANA, "prefers aisle seats")
        assert await memory.count(ANA) == 2
    assert again.content == "prefers aisle seats"
    assert again.id != first.id


@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("add", (ANA, "x"), {"speaker": 5}),
        ("add", (ANA, "x"), {"speaker": "x" * 1_000_000}),
        ("add", (ANA, "x"), {"now": "2024-01-01"}),
        ("add", ("ana", "x"), {}),
        ("get", ("ana", "0"), {}),
        ("search", ("ana", "x y"), {}),
        ("search", (ANA, "x y"), {"decision": ["wide"]}),
        ("forget_scope", (ANA,), {"older_than": "2024-01-01"}),
        ("remember", (ANA, 5, []), {}),
        ("remember", (ANA, "", []), {}),
    ],
)
async def test_wrong_types_are_refused_with_a_typed_error(
    opened: Opener, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Never an AttributeError from the inside."""
    async with opened() as memory:
        with pytest.raises(InvalidRequest):
            await getattr(memory, method)(*arguments, **options)


async def test_use_outside_of_its_context_is_refused(opened: Opener) -> None:
    """With a hint how to open it."""
    async with opened() as memory:
        pass
    with pytest.raises(BackendUnavailable, match=r"async with MemoryPlugin\.open"):
        await memory.count(ANA)


async def test_update_never_creates(opened: Opener) -> None:
    """A missing id is `None`."""
    async with opened() as memory:
        assert await memory.update(ANA, "0" * 32, content="anything") is None
        assert await memory.count(ANA) == 0


async def test_an_update_without_a_change_is_refused(opened: Opener) -> None:
    """It is surely a mistake."""
    async with opened() as memory:
        record = await memory.add(ANA, "prefers aisle seats")
        with pytest.raises(InvalidRequest):
            await memory.update(ANA, record.id)


async def test_another_user_cannot_read_change_or_forget(opened: Opener) -> None:
    """A foreign id looks like one that does not exist."""
    bob = Scope("bob")
    async with opened() as memory:
        record = await memory.add(ANA, "prefers aisle seats")
        assert await memory.get(bob, record.id) is None
        assert await memory.update(bob, record.id, content="x y") is None
        assert await memory.forget(bob, record.id) == 0
        assert await memory.get(ANA, record.id) == record


async def test_pages_lead_through_all_memories_newest_first(opened: Opener) -> None:
    """Cursors neither skip nor repeat."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    async with opened() as memory:
        for day in range(7):
            await memory.add(ANA, f"fact of day {day}", now=start + timedelta(days=day))
        seen, cursor = [], None
        while True:
            page = await memory.list(ANA, limit=3, cursor=cursor)
            seen += [record.content for record in page.records]
            assert page.total == 7
            cursor = page.cursor
            if cursor is None:
                break
    assert seen == [f"fact of day {day}" for day in reversed(range(7))]


async def test_forget_scope_by_type_and_age(opened: Opener) -> None:
    """Only what was asked for goes."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    async with opened() as memory:
        await memory.add(ANA, "old and episodic", type="episodic", now=start)
        await memory.add(ANA, "new and episodic", type="episodic", now=start + timedelta(days=9))
        await memory.add(ANA, "old and semantic", now=start)
        gone = await memory.forget_scope(ANA, types=["episodic"], older_than=start + timedelta(days=1))
        left = {record.content for record in (await memory.list(ANA)).records}
        assert await memory.forget_scope(ANA) == 2
    assert gone == 1
    assert left == {"new and episodic", "old and semantic"}


async def test_a_clock_that_jumps_back_loses_nothing(opened: Opener) -> None:
    """Times are kept as given; ages are never negative."""
    future = datetime(2030, 1, 1, tzinfo=UTC)
    async with opened() as memory:
        record = await memory.add(ANA, "prefers aisle seats", now=future)
        updated = await memory.update(ANA, record.id, content="prefers window seats")
        outcome = await memory.on_request(
            decision="wide",
            user_id="ana",
            messages=[{"role": "user", "content": "window seats?"}],
            now=future.replace(year=2020),
        )
    assert updated is not None
    assert updated.updated_at >= updated.created_at
    assert outcome.status == "used"


async def test_operator_commands_need_no_model(opened: Opener, embedder: HashingEmbedder) -> None:
    """Listing and deleting embed nothing."""
    async with opened() as memory:
        await memory.list(ANA)
        await memory.forget_scope(ANA)
        await memory.stats()
    assert embedder.queries == []
    assert embedder.passages == []


@pytest.mark.parametrize("bad", [{"threshold": 2}, {"limit": 0}])
async def test_errors_hold_no_user_content(opened: Opener, bad: dict[str, Any]) -> None:
    """Messages and hints may reach a log."""
    async with opened() as memory:
        with pytest.raises(RouterMemoryError) as caught:
            await memory.recollect(ANA, "my secret question", **bad)
    assert "secret" not in str(caught.value)


async def test_a_model_without_a_fitted_map_is_warned_about(opened: Opener) -> None:
    """Thresholds of the hybrid modes are rough for it."""
    async with opened() as memory:
        assert any("no similarity map was fitted for hashing/64/test" in warning for warning in memory.warnings)
