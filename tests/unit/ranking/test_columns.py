"""What ranking needs to know of candidates, as columns."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.ranking import columns as module
from router_memory.ranking import document, read, retrieval_of
from router_memory.types import Candidate, CandidateSet, Columns, LexicalStatistics, MemoryRecord, Retrieval, Scope


def candidate(content: str, cosine: float = 0.5, parts: int = 1, **fields: Any) -> Candidate:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    usual: dict[str, Any] = {"id": content, "created_at": at, "updated_at": at}
    record = MemoryRecord(scope=Scope("u"), content=content, **(usual | fields))
    return Candidate(record=record, document=document(content, record.speaker), cosine=cosine, parts=parts)


def retrieved(question: str, *candidates: Candidate, epoch: str = "e", partial: bool = False) -> Retrieval:
    frequency: dict[str, int] = {"unasked": 7}
    for one in candidates:
        for stem in one.document.stems:
            frequency[stem] = frequency.get(stem, 0) + 1
    statistics = LexicalStatistics("e", 10, 100, frequency)
    asked = read(question)
    found = CandidateSet(epoch, candidates, exact=False, partial=partial)
    return retrieval_of(asked, asked.names(statistics), statistics, found)


def test_every_column_has_its_kind_and_shape() -> None:
    """As `Columns` says, with and without candidates and stems."""
    truths = dict.fromkeys(("assistant", "asking", "spoken", "timed"), "?")
    kinds = {"cosine": "f8", "position": "i8", "dated": "i1"} | truths
    for question in ("", "green tea", "When did Ana drink tea in May 2024?"):
        for count in (0, 1, 3):
            made = retrieved(question, *(candidate(f"tea {number}", speaker="Ana") for number in range(count)))
            for field in dataclasses.fields(Columns):
                column = getattr(made.columns, field.name)
                shape = (count, len(made.stems)) if field.name == "frequency" else (count,)
                assert (column.dtype, column.shape) == (np.dtype(kinds.get(field.name, "i4")), shape), field.name


def test_numbers_are_the_candidates() -> None:
    """In their order; a missing cosine is 0, and there is a part at least."""
    made = retrieved(
        "green tea",
        candidate("green green tea", 0.25, parts=3, position=4),
        candidate("tea", float("nan"), parts=0, position=2**40),
    )
    columns = made.columns
    assert made.stems == ("green", "tea")
    assert columns.cosine.tolist() == [0.25, 0.0]
    assert columns.parts.tolist() == [3, 1]
    assert columns.length.tolist() == [3, 1]
    assert columns.frequency.tolist() == [[2, 1], [0, 1]]
    assert columns.position.tolist() == [4, 2**40]


def test_conversations_are_numbered() -> None:
    """None is none, and an empty name is a name."""
    ids = ["a", None, "b", "a", "", None]
    made = retrieved("tea", *(candidate(str(n), conversation_id=id_) for n, id_ in enumerate(ids)))
    assert made.columns.conversation.tolist() == [0, -1, 1, 0, 2, -1]


def test_speakers_are_numbered() -> None:
    """By the speaker's name; what was added by hand has none, and the assistant is told by its role."""
    said = [("user", "user"), ("assistant", "assistant"), ("user", "user"), (None, None), ("assistant", "Hal")]
    made = retrieved("tea", *(candidate(str(n), role=role, speaker=name) for n, (role, name) in enumerate(said)))
    assert made.columns.speaker.tolist() == [0, 1, 0, -1, 2]
    assert made.columns.assistant.tolist() == [False, True, False, False, True]


@pytest.mark.parametrize(
    ("content", "asks"),
    [
        ("Do you like tea?", True),
        ("お茶は好きですか？", True),
        ("هل تحب الشاي؟", True),
        ("Do you like tea? Just wondering, thanks!", True),
        ("What?! I moved to Paris last year with Bob.", False),
        ("See https://example.org/a?b=1 for the whole of the story", False),
        ("Why? " + "Tea has been drunk for ages. " * 5, False),
        ("I like tea.", False),
        ("", False),
    ],
)
def test_a_memory_asks_that_ends_in_a_question(content: str, asks: bool) -> None:
    """Or nearly so."""
    assert retrieved("tea", candidate(content)).columns.asking.tolist() == [asks]


def test_who_said_it_counts_where_the_question_names_somebody() -> None:
    """The name is taken out of what is matched and embedded."""
    made = retrieved("What does Ana drink?", candidate("tea", speaker="Ana"), candidate("Ana", speaker="Bob"))
    assert [made.names, made.columns.spoken.tolist()] == [frozenset({"ana"}), [True, False]]
    assert [made.query_text, made.stems] == ["What does drink?", ("drink",)]
    assert not retrieved("What do you drink?", candidate("tea", speaker="Ana")).columns.spoken.any()


def test_when_it_was_said_counts_where_the_question_names_a_month_or_year() -> None:
    """Both, where it names both; the day counts beside its month."""
    moments = [datetime(2024, 5, 1, tzinfo=UTC), datetime(2023, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)]
    said = [candidate(str(n), created_at=moment) for n, moment in enumerate(moments)]
    for question, expected in (
        ("tea in May 2024", [1, 0, 0]),
        ("tea in May", [1, 1, 0]),
        ("tea in 2024", [1, 0, 1]),
        ("tea", [0, 0, 0]),
        ("tea on May 1, 2024", [2, 0, 0]),
        ("tea on the 1st of May", [2, 2, 0]),
        ("tea on May 2", [1, 1, 0]),
        ("1 tea in 2024", [1, 0, 1]),
    ):
        assert retrieved(question, *said).columns.dated.tolist() == expected


pieces = st.sampled_from(
    "yesterday tonight ago since recently last next weekend Tuesday MARCH 2024 1999 few days couple of weeks this "
    "morning tea 12024 agony lasting yesterday's 2024-05-01 (since) since’s".split()
)


@given(st.lists(pieces, max_size=6), st.sampled_from([" ", "  ", ", ", "-", "\n"]))
def test_whether_a_time_is_told_does_not_depend_on_the_short_way(words: list[str], between: str) -> None:
    """Stems are looked at first, for they are at hand; they decide nothing by themselves."""
    text = between.join(words)
    made = retrieved("When did it happen?", candidate(text or "x"))
    assert made.columns.timed.tolist() == [module._TEMPORAL.search(text) is not None]


def test_a_time_counts_only_where_one_is_asked_for() -> None:
    """In as much of a memory as is looked at."""
    said = [candidate("we moved yesterday"), candidate("in May"), candidate("x " * 1_100 + "yesterday")]
    assert retrieved("When did we move?", *said).columns.timed.tolist() == [True, False, False]
    assert not retrieved("Where did we move?", *said).columns.timed.any()


@pytest.mark.parametrize(
    ("epoch", "partial", "coherent"), [("e", False, True), ("f", False, False), ("e", True, False)]
)
def test_only_what_is_whole_and_of_one_state_is_coherent(epoch: str, partial: bool, coherent: bool) -> None:
    """The epoch is that of the statistics."""
    made = retrieved("tea", candidate("tea"), epoch=epoch, partial=partial)
    assert [made.epoch, made.partial, made.coherent, made.exact] == ["e", partial, coherent, False]


def test_of_the_statistics_only_what_was_asked_for_is_kept() -> None:
    """They may be of very many words."""
    made = retrieved("green tea zeppelin", candidate("tea", speaker="Ana"))
    assert made.statistics == LexicalStatistics("e", 10, 100, {"tea": 1})
    assert [record.content for record in made.records] == ["tea"]
