"""One state out of many workers'."""

from __future__ import annotations

from typing import Any

from router_memory.config import load_config
from router_memory.interfaces.http.operations.figures import Figures
from router_memory.interfaces.http.operations.merged import merged

CACHE = {"coherence": "strict", "breaker": "closed", "entries": 2, "vectors": 1, "bytes": 100, "counts": {"miss": 1}}
LATENCY = {"count": 1, "p50": 0.1, "p95": 0.2, "p99": 0.3}


def part(worker: int, *, ready: bool = True, cache: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "worker": worker,
        "pid": 100 + worker,
        "configuration": 2,
        "started_at": f"2026-01-0{worker + 1}T00:00:00+00:00",
        "draining": False,
        "generation": 1,
        "loaded_at": "2026-01-01T00:00:00+00:00",
        "warnings": [],
        "readiness": {"ready": ready, "checks": [{"name": "store", "ok": ready, "detail": ""}]},
        "in_flight": 1,
        "queue_depth": 3,
        "cache": cache,
        **more,
    }


def state(*parts: dict[str, Any]) -> dict[str, Any]:
    nothing = Figures(b"")
    return merged(load_config({}), parts, nothing, nothing)


def timed(count: int) -> Figures:
    name = "llm_memory_stage_seconds"
    lines = [f'{name}_bucket{{stage="embed",le="{bound}"}} {count}' for bound in ("0.01", "+Inf")]
    return Figures("\n".join([*lines, f'{name}_count{{stage="embed"}} {count}']).encode())


def test_latencies_are_of_the_last_minute_and_only_what_is_named_so_since_the_start() -> None:
    (stage,) = merged(load_config({}), [part(0)], timed(500), timed(2))["stages"]
    assert (stage["count"], stage["since_start"], stage["p50"], stage["at_most"]) == (2, 500, 0.01, True)


def test_a_stage_without_a_request_in_the_last_minute_has_no_latency() -> None:
    (stage,) = merged(load_config({}), [part(0)], timed(500), timed(0))["stages"]
    assert (stage["count"], stage["since_start"], stage["p50"], stage["p99"]) == (0, 500, None, None)


def test_the_version_stands_once() -> None:
    found = state(part(0))
    assert "version" not in found
    assert set(found["versions"]) == {"router_memory", "python"}


def test_depths_add_up() -> None:
    found = state(part(0), part(1))
    assert found["writes"]["queue_depth"] == 6
    assert found["writes"]["queue_size"] == 2 * 1024
    assert [worker["pid"] for worker in found["workers"]] == [100, 101]


def test_it_is_ready_when_all_are_and_shows_the_worst() -> None:
    found = state(part(0), part(1, ready=False))["readiness"]
    assert found == {"ready": False, "checks": [{"name": "store", "ok": False, "detail": ""}]}


def test_the_generation_is_the_oldest_by_the_parents_count() -> None:
    """A worker that was replaced has begun to count anew."""
    assert state(part(0, configuration=3), part(1, configuration=2))["generation"]["number"] == 2


def test_a_worker_that_does_not_answer_has_its_place() -> None:
    seats = [
        {"index": 0, "pid": 100, "stage": "serving", "generation": 2, "started_at": "t", "restarts": 0},
        {"index": 1, "pid": 109, "stage": "starting", "generation": 0, "started_at": "t", "restarts": 4},
    ]
    found = state(part(0), {"parent": True, "started_at": "s", "seats": seats})
    assert found["started_at"] == "s"
    assert [(each["ready"], each["restarts"], each["stage"]) for each in found["workers"]] == [
        (True, 0, "serving"),
        (False, 4, "starting"),
    ]


def test_caches_add_up_and_an_open_breaker_shows() -> None:
    one = {**CACHE, "latencies": {"miss": LATENCY}}
    other = {**CACHE, "breaker": "open", "latencies": {"miss": {**LATENCY, "p99": 0.9}}}
    cache = state(part(0, cache=one), part(1, cache=other))["cache"]
    assert (cache["entries"], cache["bytes"], cache["breaker"], cache["counts"]) == (4, 200, "open", {"miss": 2})
    assert cache["latencies"] == [{"name": "miss", "count": 2, "p50": 0.1, "p95": 0.2, "p99": 0.9}]


def test_without_a_cache_there_is_none() -> None:
    assert state(part(0))["cache"] is None
