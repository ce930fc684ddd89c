"""The timeline of a process."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from router_memory.telemetry import Telemetry, Timeline
from router_memory.types import CacheLevel
from tests.unit.telemetry.reading import injected, outcome_of


def test_events_come_newest_first_with_their_time() -> None:
    timeline = Timeline()
    timeline.note("started", workers=2)
    timeline.note("worker_died", pid=17, status=-9)

    last, first = timeline.recent()

    assert [last["kind"], first["kind"]] == ["worker_died", "started"]
    assert datetime.fromisoformat(last["at"]) >= datetime.fromisoformat(first["at"])
    assert last["status"] == -9


def test_requests_push_no_event_out() -> None:
    telemetry = Telemetry()
    telemetry.timeline.note("started")
    for _ in range(5_000):
        telemetry.request(outcome_of(), interface="chat")

    assert [event["kind"] for event in telemetry.timeline.recent()] == ["started"]
    assert len(telemetry.timeline.requests(10_000)) == 200


def test_events_are_bounded() -> None:
    timeline = Timeline()
    for number in range(5_000):
        timeline.note("reloaded", generation=number)

    kept = timeline.recent(10_000)

    assert len(kept) == 500
    assert kept[0]["generation"] == 4_999


@pytest.mark.parametrize("limit", [0, -1])
def test_nobody_who_asks_for_none_gets_any(limit: int) -> None:
    timeline = Timeline()
    timeline.note("started")

    assert timeline.recent(limit) == []


def test_a_request_is_summarised_in_figures() -> None:
    telemetry = Telemetry()
    telemetry.request(injected(cache=CacheLevel.LOCAL), interface="chat")

    (summary,) = telemetry.timeline.requests()

    assert set(summary) == {"at", "kind", "decision", "status", "reason", "count", "ms", "cache", "stages"}
    assert (summary["decision"], summary["status"], summary["reason"]) == ("support", "used", "injected")
    assert (summary["ms"], summary["cache"]) == (10.0, "level 1")
    assert summary["stages"]["embed"] == 6.0


def test_a_request_shows_no_user_no_text_and_no_decision_that_a_client_made_up() -> None:
    telemetry = Telemetry()
    telemetry.request(outcome_of(decision="my password is swordfish", known=False, user="alice"), interface="chat")

    shown = json.dumps(telemetry.timeline.requests())

    assert not [word for word in ("swordfish", "alice", "secret") if word in shown]


def test_an_unknown_kind_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no event"):
        Timeline().note("gossip")


def test_fields_are_json_and_short() -> None:
    timeline = Timeline()
    timeline.note("reload_refused", error="x" * 5_000, where=Timeline, keys=("a", "b"), at="then", kind_of={"n": 1})

    (event,) = timeline.recent()

    assert len(event["error"]) == 200
    assert event["keys"] == ["a", "b"]
    assert event["at"] != "then"
    assert json.loads(json.dumps(event)) == event
