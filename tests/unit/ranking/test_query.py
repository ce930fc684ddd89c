"""Reading a question."""

from __future__ import annotations

import pytest

from router_memory.ranking import rarest, read
from router_memory.types import LexicalStatistics


def known(**frequency: int) -> LexicalStatistics:
    return LexicalStatistics("e", 100, 1000, {key.replace("at_", "@"): count for key, count in frequency.items()})


def test_speakers_are_names_and_everybody_else_is_not() -> None:
    """A name is a word that speaks in this user's memories; no list of names is given."""
    question = read("What did Caroline tell Melanie about Paris?")
    assert question.names(known(at_caroline=40, at_melanie=60)) == {"caroline", "melanie"}


def test_names_are_left_out_of_the_text_to_embed() -> None:
    """The rest is what the question is about."""
    question = read("What did Caroline's sister adopt, Melanie?")
    assert question.without(frozenset({"caroline", "melanie"})) == "What did sister adopt,?"


def test_a_question_of_names_alone_stays_whole() -> None:
    """Something has to be embedded."""
    assert read("Caroline?").without(frozenset({"caroline"})) == "Caroline?"


def test_terms_hold_stems_and_possible_speakers_once() -> None:
    """One look-up tells the statistics of both."""
    assert read("Ana sees Ana").terms == ("ana", "see", "@ana", "@sees")


def test_the_rarest_stems_come_first_until_enough_memories_hold_one() -> None:
    """A stem nobody used is no help, and the common ones are not needed."""
    statistics = known(rare=3, mid=90, common=300, never=0)
    assert rarest(("common", "never", "mid", "rare"), statistics, enough=90) == ("rare", "mid")


@pytest.mark.parametrize(
    ("text", "months", "years"),
    [
        ("What happened in May 2023?", {5}, {2023}),
        ("in Sept", {9}, set()),
        ("the trip of August 2023", {8}, {2023}),
        ("on July 10, 2023", {7}, {2023}),
        ("the year 2023", set(), {2023}),
        ("back in 1999", set(), {1999}),
    ],
)
def test_dates_are_read(text: str, months: set[int], years: set[int]) -> None:
    """Months by name or abbreviation, years by number."""
    dates = read(text).dates
    assert dates is not None
    assert set(dates.months) == months
    assert set(dates.years) == years


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("on May 7", {7}),
        ("on 7 May, 2023", {7}),
        ("on the 7th of May", {7}),
        ("on May 31st or 1 June", {31, 1}),
        ("40 people in May", set()),
        ("seven in May of 2023", set()),
        ("7 cats in 2023", set()),
        ("on June 2 and 3 July", {2, 3}),
    ],
)
def test_a_day_stands_beside_its_month(text: str, days: set[int]) -> None:
    """Any other number is a number."""
    dates = read(text).dates
    assert dates is not None
    assert set(dates.days) == days


def test_may_as_a_verb_is_no_month() -> None:
    """A month is written with a capital, and stands where a time does."""
    for text in ("What may I eat?", "May I see my notes?", "What food does April like?", "What did August say?"):
        assert read(text).dates is None


@pytest.mark.parametrize("text", ["my 2000 dollar laptop", "the key of room 2012", "Who wrote the 1984 novel?"])
def test_a_number_is_no_year(text: str) -> None:
    """Unless a month or a word such as "in" stands before it."""
    assert read(text).dates is None


@pytest.mark.parametrize("text", ["When did we move?", "what day was it", "Which year?", "How long ago was that?"])
def test_questions_for_a_time_are_recognised(text: str) -> None:
    """They favour memories that tell one."""
    assert read(text).asks_when


def test_when_as_a_conjunction_asks_for_nothing() -> None:
    """The phrase "when I travel" is not a question for a time."""
    assert not read("Which seat do I like when I travel?").asks_when
