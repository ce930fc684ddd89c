"""Tickets: bound to a user and a time, signed, bounded."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest

from router_memory import Scope
from router_memory.errors import InvalidRequest
from router_memory.interfaces.http.plugin import tickets
from router_memory.storage import from_microseconds
from router_memory.types import Explain, Outcome, Reason, Status, WriteIntent
from router_memory.types.record import Turn

KEY = b"k" * 32
ANA = Scope("ana")
NOW = 1_772_366_400.0
SAID = from_microseconds(int(NOW) * 1_000_000)


def outcome(*, content: str = "I live in Bonn.", messages: list[dict[str, Any]] | None = None) -> Outcome:
    turn = Turn(role="user", content=content, position=0, created_at=SAID)
    return Outcome(
        messages=(),
        memories=(),
        status=Status.MISSING,
        reason=Reason.NO_RESULTS,
        explain=Explain(decision=None, known=False, policy={}),
        scope=ANA,
        conversation_id="c-1",
        intent=WriteIntent(None, (turn,), messages or [{"role": "user", "content": content}], SAID),
    )


def ticket(**arguments: Any) -> str:
    return tickets.write(KEY, ANA, outcome(**arguments), now=NOW)[0]


def signed(**changes: Any) -> str:
    """A ticket whose maker knows the key."""
    raw = base64.urlsafe_b64decode(ticket().removeprefix("rm1.") + "==")[:-32]
    payload = json.dumps({**json.loads(raw), **changes}).encode()
    whole = payload + hmac.digest(KEY, payload, "sha256")
    return "rm1." + base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def refused(text: str, *, key: bytes = KEY, scope: Scope = ANA, now: float = NOW) -> str:
    with pytest.raises(InvalidRequest) as caught:
        tickets.read(key, text, scope, now=now)
    assert caught.value.field == "ticket"
    return str(caught.value)


def test_it_gives_back_what_it_was_given() -> None:
    read = tickets.read(KEY, ticket(), ANA, now=NOW + 60)
    again = read.outcome("Noted.", messages=(), turns=())
    assert not read.needs_messages
    assert (again.scope, again.conversation_id) == (ANA, "c-1")
    assert again.intent.turns == outcome().intent.turns
    assert (again.intent.refused, again.intent.now) == (None, SAID)


def test_it_is_good_for_an_hour_and_for_one_user_in_any_project_of_the_call() -> None:
    good = ticket()
    assert tickets.read(KEY, good, ANA, now=NOW + tickets.TICKET_SECONDS).scope == ANA
    assert tickets.read(KEY, good, Scope("ana", "work"), now=NOW).scope == ANA
    reasons = {
        refused(good, now=NOW + tickets.TICKET_SECONDS + 1),
        refused(good, scope=Scope("Ana")),
        refused(good, key=b"x" * 32),
        refused(""),
    }
    assert len(reasons) == 1


def test_every_changed_character_is_noticed() -> None:
    good = ticket()
    for place in range(len(good)):
        other = "A" if good[place] != "A" else "B"
        refused(good[:place] + other + good[place + 1 :])
    for text in (good[:-1], good + "A", good + "=", good.removeprefix("rm1."), good.upper(), "rm1.", "rm1.é"):
        refused(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"made": 10**18},
        {"made": "now"},
        {"expires": None},
        {"conversation": 7},
        {"conversation": "  "},
        {"project": "\x00" * 70_000},
        {"refused": "because"},
        {"more": 1},
        {"carried": {"turns": [], "count": 10**12, "replies": []}},
        {"carried": {"turns": [], "count": -1, "replies": []}},
        {"carried": {"turns": [{"role": "user"}], "count": 1, "replies": []}},
    ],
)
def test_even_its_maker_cannot_put_nonsense_in_it(changes: dict[str, Any]) -> None:
    """Without a secret in the configuration anybody can sign one."""
    with pytest.raises(InvalidRequest):
        tickets.read(KEY, signed(**changes), ANA, now=NOW)


@pytest.mark.parametrize("user", ["é", "", "\U0001f511"])
def test_one_made_up_for_a_user_who_cannot_be_is_of_another_user(user: str) -> None:
    assert refused(signed(user=user)) == refused("")


def test_one_that_is_too_long_is_not_looked_at() -> None:
    refused("rm1." + "A" * tickets.MAX_TICKET_CHARS)


@pytest.mark.parametrize(("characters", "needs"), [(60_000, False), (66_000, True), (5_000_000, True)])
def test_long_turns_are_not_carried(characters: int, needs: bool) -> None:
    text, needs_messages = tickets.write(KEY, ANA, outcome(content="x" * characters), now=NOW)
    assert needs_messages is needs
    assert tickets.read(KEY, text, ANA, now=NOW).needs_messages is needs
    assert len(text) < tickets.MAX_TICKET_CHARS


def test_a_reply_is_placed_behind_as_many_messages_and_equal_replies() -> None:
    messages = [
        {"role": "user", "content": "again?"},
        {"role": "assistant", "content": "<think>a</think>Yes."},
        {"role": "user", "content": "again?"},
        {"role": "assistant", "content": "No."},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "again?"},
    ]
    read = tickets.read(KEY, ticket(messages=messages), ANA, now=NOW)
    for reply, same in (("Yes.", 2), ("<think>b</think> Yes.", 2), ("No.", 1), ("Maybe.", 0), (7, 0), (None, 0)):
        placed = read.outcome(reply, messages=(), turns=()).intent.messages
        assert len(placed) == len(messages)
        assert sum(message.get("role") == "assistant" for message in placed) == same


def test_the_key_follows_from_the_secret_alone() -> None:
    assert tickets.key_of("secret") == tickets.key_of("secret")
    assert len({tickets.key_of(""), tickets.key_of("secret"), tickets.key_of("Secret")}) == 3
