"""The generated day of agents is what its benchmark says it is."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from bench.cache.day import DENSE, MAIN, SIDE, Ask, Day, Forget, Reply, make_day
from router_memory.pipeline.messages import last_user_text, new_turns

TTL_SECONDS = 300
HISTORY = 20


def day_of(*, requests: int = 1_500, seed: int = 7) -> Day:
    return make_day(requests=requests, users=30, history=HISTORY, seed=seed)


@pytest.fixture(scope="module")
def day() -> Day:
    return day_of()


@pytest.fixture(scope="module")
def asked(day: Day) -> list[Ask]:
    return [event for event in day.events if isinstance(event, Ask)]


def turns_of(asked: list[Ask]) -> dict[tuple[int, int], list[Ask]]:
    turns: dict[tuple[int, int], list[Ask]] = {}
    for event in asked:
        turns.setdefault((event.session, event.turn), []).append(event)
    return turns


def test_the_seed_decides_everything(day: Day) -> None:
    assert day_of() == day
    assert day_of(seed=8) != day


def test_there_are_as_many_requests_as_wanted(day: Day, asked: list[Ask]) -> None:
    """A request to several decisions counts once for each."""
    assert day.requests == sum(len(event.decisions) for event in asked) >= 1_500


def test_events_are_in_the_order_of_time(day: Day) -> None:
    assert all(one.at <= two.at for one, two in pairwise(day.events))


def test_every_user_has_a_history(day: Day) -> None:
    assert [sum(len(session.turns) for session in history) for history in day.histories] == [HISTORY] * 30


def test_few_users_ask_most(asked: list[Ask]) -> None:
    """By Zipf's law the first fifth of 30 users makes six tenths of the sessions."""
    sessions = {event.session: event.user for event in asked}
    first = sum(user < 6 for user in sessions.values())
    assert 0.4 < first / len(sessions) < 0.8


def test_the_requests_of_a_turn_have_the_same_last_user_message(asked: list[Ask]) -> None:
    for turn in turns_of(asked).values():
        assert len({last_user_text(event.messages) for event in turn}) == 1


def test_a_step_of_the_agent_ends_in_a_result_of_a_tool(asked: list[Ask]) -> None:
    for first, *later in turns_of(asked).values():
        assert first.messages[-1]["role"] == "user"
        assert all(event.messages[-1]["role"] == "tool" for event in later if not event.again)


def test_one_sent_again_is_the_one_before(asked: list[Ask]) -> None:
    """Of the same session, to the first decision."""
    again = 0
    for turn in turns_of(asked).values():
        for before, event in pairwise(turn):
            if event.again:
                again += 1
                assert event.messages == before.messages
                assert event.decisions == (MAIN,)
    assert again


def test_some_go_to_two_or_three_decisions(asked: list[Ask]) -> None:
    """One of which searches by the vector alone."""
    several = [event.decisions for event in asked if len(event.decisions) > 1]
    assert {len(decisions) for decisions in several} == {2, 3}
    assert all(decisions[0] == MAIN and set(decisions[1:]) <= set(SIDE) for decisions in several)
    assert any(DENSE in decisions for decisions in several)


def test_every_turn_is_stored_once_behind_its_last_request(day: Day, asked: list[Ask]) -> None:
    replies = [event for event in day.events if isinstance(event, Reply)]
    last = {place: turn[-1].at for place, turn in turns_of(asked).items()}
    assert Counter((event.session, event.turn) for event in replies) == Counter(dict.fromkeys(last, 1))
    assert all(event.at > last[event.session, event.turn] for event in replies)


def test_a_turn_stores_the_message_of_its_user(asked: list[Ask]) -> None:
    """And none of the turns before."""
    for turn in turns_of(asked).values():
        event = turn[-1]
        new = new_turns(event.messages, roles=frozenset({"user"}), now=event.moment, history=False)
        assert [one.content for one in new] == [last_user_text(event.messages)]


def test_a_turn_is_shorter_than_the_time_to_live(asked: list[Ask]) -> None:
    """So that a replay at full speed finds nothing in the cache that had ended by then."""
    assert max(turn[-1].at - turn[0].at for turn in turns_of(asked).values()) < TTL_SECONDS


def test_something_is_asked_again_later(asked: list[Ask]) -> None:
    """In another turn, by the same user."""
    texts = Counter((turn[0].user, last_user_text(turn[0].messages)) for turn in turns_of(asked).values())
    assert max(texts.values()) > 1


def test_something_is_forgotten(day: Day) -> None:
    assert any(isinstance(event, Forget) for event in day.events)
