"""What the metrics say, and that nothing users choose makes one more of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from router_memory.errors import BackendUnavailable
from router_memory.plugin.writes import Receipt
from router_memory.telemetry import Telemetry
from router_memory.types import CacheLevel, Reason, Status, WriteResult, WriteStatus
from tests.unit.telemetry.reading import families_of, injected, outcome_of, series_of, value_of

REFERENCE = {
    "llm_memory_retrieval_latency_seconds_count": {"backend", "operation"},
    "llm_memory_retrieval_total": {"backend", "status"},
    "llm_memory_retrieval_results_count": {"backend"},
    "llm_memory_store_operations_total": {"backend", "operation", "status"},
    "llm_memory_cache_hits_total": set(),
    "llm_memory_cache_misses_total": set(),
    "llm_memory_cache_latency_seconds_count": set(),
}


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def everything(telemetry: Telemetry) -> None:
    """Reports one of each."""
    telemetry.request(injected(cache=CacheLevel.LOCAL), interface="chat")
    telemetry.request(outcome_of(Status.UNAVAILABLE, Reason.STORE_UNAVAILABLE), interface="plugin")
    telemetry.receipt(Receipt([WriteResult(WriteStatus.STORED, id="m1")]))
    telemetry.operation("search", 0.01, status="ok", results=3)
    telemetry.operation("add", 0.01, status="ok")
    telemetry.upstream(status="200", seconds=1.0, first_byte=0.2)
    telemetry.begin(method="GET").end(route="/v1/memory/{id}", status=200)


def test_the_metrics_of_the_reference_have_its_names_and_labels(telemetry: Telemetry) -> None:
    everything(telemetry)

    families = families_of(telemetry)

    assert {name: families[name] for name in REFERENCE} == REFERENCE


def test_a_request_is_counted_by_what_memory_did(telemetry: Telemetry) -> None:
    telemetry.request(injected(), interface="chat")

    labels = {"interface": "chat", "decision": "support", "status": "used", "reason": "injected"}
    assert value_of(telemetry, "llm_memory_requests_total", **labels) == 1
    assert value_of(telemetry, "llm_memory_request_seconds_sum", decision="support") == 0.01
    assert value_of(telemetry, "llm_memory_stage_seconds_sum", stage="embed") == 0.006
    assert value_of(telemetry, "llm_memory_stage_seconds_count", stage="total") is None
    assert value_of(telemetry, "llm_memory_injected_tokens_sum") == 42


def test_a_request_that_was_not_searched_for_is_no_retrieval(telemetry: Telemetry) -> None:
    telemetry.request(outcome_of(Status.DISABLED, Reason.DECISION_CONFIG), interface="chat")

    assert not [name for name, _ in series_of(telemetry) if name == "llm_memory_retrieval_total"]


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.OVERLOADED, Reason.STORE_UNAVAILABLE])
def test_a_search_that_failed_is_an_error(telemetry: Telemetry, reason: Reason) -> None:
    telemetry.request(outcome_of(Status.UNAVAILABLE, reason), interface="chat")

    assert value_of(telemetry, "llm_memory_retrieval_total", backend="unknown", status="error") == 1


@pytest.mark.parametrize(
    ("level", "hits", "misses"),
    [
        (CacheLevel.LOCAL, 1, 0),
        (CacheLevel.SHARED, 1, 0),
        (CacheLevel.JOINED, 1, 0),
        (CacheLevel.MISS, 0, 1),
        (CacheLevel.OFF, 0, 0),
    ],
)
def test_who_answered_is_a_hit_or_a_miss(telemetry: Telemetry, level: CacheLevel, hits: int, misses: int) -> None:
    telemetry.request(injected(cache=level), interface="chat")

    assert value_of(telemetry, "llm_memory_cache_hits_total") == hits
    assert value_of(telemetry, "llm_memory_cache_misses_total") == misses


def test_a_turn_is_counted_when_its_end_is_known(telemetry: Telemetry) -> None:
    receipt = Receipt()
    telemetry.receipt(receipt)
    before = value_of(telemetry, "llm_memory_writes_total", status="stored")

    receipt.settle([WriteResult(WriteStatus.STORED), WriteResult(WriteStatus.SKIPPED, "too short")])

    stored = {"backend": "unknown", "operation": "store", "status": "success"}
    assert before == 0
    assert value_of(telemetry, "llm_memory_writes_total", status="stored") == 1
    assert value_of(telemetry, "llm_memory_writes_total", status="skipped") == 1
    assert value_of(telemetry, "llm_memory_store_operations_total", **stored) == 1


def test_a_search_of_the_api_is_a_retrieval_and_anything_else_a_store_operation(telemetry: Telemetry) -> None:
    telemetry.operation("search", 0.02, status="ok", results=0)
    telemetry.operation("forget", 0.02, status="unavailable")

    forgot = {"backend": "unknown", "operation": "forget", "status": "error"}
    assert value_of(telemetry, "llm_memory_retrieval_total", backend="unknown", status="miss") == 1
    assert value_of(telemetry, "llm_memory_store_operations_total", **forgot) == 1
    assert value_of(telemetry, "llm_memory_operation_seconds_sum", operation="search", status="ok") == 0.02


def test_upstream_statuses_are_classes_or_words(telemetry: Telemetry) -> None:
    telemetry.upstream(status="200", seconds=2.0, first_byte=0.25)
    telemetry.upstream(status="503", seconds=0.1, first_byte=None)
    telemetry.upstream(status="timeout", seconds=5.0, first_byte=None)

    statuses = ("2xx", "5xx", "timeout")
    assert [value_of(telemetry, "llm_memory_upstream_requests_total", status=status) for status in statuses] == [1] * 3
    assert value_of(telemetry, "llm_memory_upstream_first_byte_seconds_count") == 1


def test_a_visit_is_in_flight_until_it_ends(telemetry: Telemetry) -> None:
    visit = telemetry.begin(method="POST")
    during = value_of(telemetry, "llm_memory_http_requests_in_flight")

    visit.end(route="/v1/chat/completions", status=200)
    visit.end(route="/v1/chat/completions", status=500)

    answered = {"route": "/v1/chat/completions", "method": "POST", "status": "2xx"}
    assert during == 1
    assert value_of(telemetry, "llm_memory_http_requests_in_flight") == 0
    assert value_of(telemetry, "llm_memory_http_requests_total", **answered) == 1
    assert value_of(telemetry, "llm_memory_http_requests_total", **{**answered, "status": "5xx"}) is None


def many_users(telemetry: Telemetry, number: int) -> None:
    telemetry.request(outcome_of(user=f"user {number}"), interface="chat")


def many_decisions(telemetry: Telemetry, number: int) -> None:
    telemetry.request(outcome_of(decision=f"decision {number}", known=False), interface="chat")


def many_paths(telemetry: Telemetry, number: int) -> None:
    telemetry.http(method=f"M{number}", route=f"/v1/memory/{number}", status=number, seconds=0.1)


def many_words(telemetry: Telemetry, number: int) -> None:
    telemetry.operation(f"op {number}", 0.1, status=f"Status-{number}")
    telemetry.upstream(status=f"error {number}", seconds=1.0, first_byte=None)


@pytest.mark.parametrize("feed", [many_users, many_decisions, many_paths, many_words])
def test_ten_thousand_different_ones_add_no_series(
    telemetry: Telemetry, feed: Callable[[Telemetry, int], None]
) -> None:
    for status in (100, 200, 300, 400, 500, 999):
        telemetry.http(method="X", route="/x", status=status, seconds=0.1)
    feed(telemetry, 600)
    before = set(series_of(telemetry))

    for number in range(10_000):
        feed(telemetry, number)

    assert set(series_of(telemetry)) == before


def test_decisions_of_the_configuration_are_bounded_too(telemetry: Telemetry) -> None:
    for number in range(2_000):
        telemetry.request(outcome_of(decision=f"decision {number}"), interface="chat")

    names = {dict(labels)["decision"] for name, labels in series_of(telemetry) if name == "llm_memory_requests_total"}
    assert len(names) == 501
    assert "other" in names


def test_no_label_holds_a_user_or_a_text(telemetry: Telemetry) -> None:
    everything(telemetry)

    text = telemetry.exposition()[0].decode()
    assert "u1" not in text
    assert "secret" not in text


def test_routes_of_an_application_are_labels_once_they_are_known(telemetry: Telemetry) -> None:
    telemetry.http(method="GET", route="/extra/{thing}", status=200, seconds=0.1)
    telemetry.know_routes(["/extra/{thing}"])
    telemetry.http(method="GET", route="/extra/{thing}", status=200, seconds=0.1)

    for route in ("other", "/extra/{thing}"):
        assert value_of(telemetry, "llm_memory_http_request_seconds_count", route=route) == 1


def test_a_store_that_goes_and_comes_back_is_noted_once_each(telemetry: Telemetry) -> None:
    for _ in range(3):
        telemetry.request(outcome_of(Status.UNAVAILABLE, Reason.STORE_UNAVAILABLE), interface="chat")
    telemetry.request(injected(cache=CacheLevel.LOCAL), interface="chat")
    away = value_of(telemetry, "llm_memory_store_away")
    for _ in range(3):
        telemetry.request(injected(cache=CacheLevel.MISS), interface="chat")

    assert away == 1
    assert value_of(telemetry, "llm_memory_store_away") == 0
    assert [event["kind"] for event in telemetry.timeline.recent()] == ["store_back", "store_away"]
    assert value_of(telemetry, "llm_memory_events_total", kind="store_away") == 1


def test_two_of_them_in_a_process_do_not_mix(telemetry: Telemetry) -> None:
    telemetry.request(injected(), interface="chat")

    assert value_of(Telemetry(), "llm_memory_request_seconds_count", decision="support") is None


def test_importing_it_loads_no_library() -> None:
    script = (
        "import sys, router_memory.telemetry; "
        "print([name for name in sys.modules if name.split('.')[0] in ('prometheus_client', 'opentelemetry')])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_an_error_of_the_store_is_none_of_its_labels(telemetry: Telemetry) -> None:
    error = BackendUnavailable("no answer from 10.0.0.1", backend="valkey", operation="get")
    telemetry.receipt(Receipt([WriteResult(WriteStatus.FAILED, str(error))]))

    assert "10.0.0.1" not in telemetry.exposition()[0].decode()
    assert value_of(telemetry, "llm_memory_writes_total", status="failed") == 1
