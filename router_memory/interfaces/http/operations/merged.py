"""The parts of all workers and the metrics they share, put together to one state. Pure."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from router_memory import __version__

if TYPE_CHECKING:
    from router_memory.config import Config
    from router_memory.interfaces.http.operations.figures import Figures

__all__ = ["merged"]

_STAGES = "llm_memory_stage_seconds"
_TOTAL = "llm_memory_request_seconds"


def merged(config: Config, parts: Sequence[Mapping[str, Any]], figures: Figures, recent: Figures) -> dict[str, Any]:
    """The state of a service.

    Args:
        config: What this worker serves.
        parts: What the workers say, and the parent, if there is one.
        figures: Since the start.
        recent: What was added in the last minute.
    """
    workers = [part for part in parts if "readiness" in part]
    parent: Mapping[str, Any] = next((part for part in parts if part.get("parent")), {})
    service = config.memory.service
    queue = sum(part["queue_depth"] for part in workers)
    return {
        "versions": {"router_memory": __version__, "python": platform.python_version()},
        "backend": config.backend,
        "user_header": config.identity.user_header,
        "project_header": service.project_header,
        "auth": {"modes": list(service.auth.modes)},
        "upstream": service.upstream.url,
        "started_at": parent.get("started_at") or min((part["started_at"] for part in workers), default=None),
        "generation": _generation(workers),
        "readiness": _readiness(workers),
        "workers": _workers(workers, parent),
        "requests": _requests(figures),
        "http": {
            "total": int(figures.total("llm_memory_http_requests_total")),
            "errors": int(figures.total("llm_memory_http_requests_total", status="5xx")),
            # the one that asks for this state is among them, and would never let a service look idle
            "in_flight": max(int(figures.total("llm_memory_http_requests_in_flight")) - 1, 0),
        },
        "stages": _stages(figures, recent),
        "cache": _cache([part["cache"] for part in workers if part.get("cache")], figures),
        "writes": {
            "queue_depth": queue,
            "queue_size": config.memory.write.queue_size * len(workers),
            "results": {key[0]: int(value) for key, value in figures.by("llm_memory_writes_total", "status").items()},
        },
        "upstream_latency": figures.summary("llm_memory_upstream_seconds").described(),
    }


def _generation(workers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The oldest one that is served: of a reload that is under way, or of one that a worker missed."""
    oldest = min(workers, key=_number, default=None)
    if oldest is None:
        return {"number": 0, "loaded_at": None, "warnings": []}
    return {"number": _number(oldest), "loaded_at": oldest["loaded_at"], "warnings": oldest["warnings"]}


def _number(part: Mapping[str, Any]) -> int:
    """The parent's number of the configuration; that of the process where there is no parent."""
    return int(part.get("configuration", part["generation"]))


def _readiness(workers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """That of the worker which is worst off."""
    told = [part["readiness"] for part in workers]
    worst = min(told, key=lambda each: sum(check["ok"] for check in each["checks"]), default=None)
    if worst is None:
        return {"ready": False, "checks": []}
    return {"ready": all(each["ready"] for each in told), "checks": worst["checks"]}


def _workers(workers: Sequence[Mapping[str, Any]], parent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each seat, with what its worker says, if one answers."""
    said = {part["worker"]: part for part in workers}
    seats = parent.get("seats") or [{"index": index, "restarts": 0} for index in sorted(said)]
    return [_worker(seat, said.get(seat["index"], {})) for seat in seats]


def _worker(seat: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "index": seat["index"],
        "pid": part.get("pid", seat.get("pid")),
        "stage": seat.get("stage", "serving"),
        "generation": _number(part) if part else seat.get("generation", 0),
        "started_at": part.get("started_at", seat.get("started_at")),
        "draining": part.get("draining", False),
        "ready": part.get("readiness", {}).get("ready", False),
        "in_flight": part.get("in_flight", 0),
        "queue_depth": part.get("queue_depth", 0),
        "restarts": seat["restarts"],
    }


def _requests(figures: Figures) -> dict[str, Any]:
    counts = figures.by("llm_memory_requests_total", "interface", "status", "reason")
    outcomes = [
        {"interface": interface, "status": status, "reason": reason, "count": int(count)}
        for (interface, status, reason), count in sorted(counts.items())
    ]
    return {"total": sum(outcome["count"] for outcome in outcomes), "outcomes": outcomes}


def _stages(figures: Figures, recent: Figures) -> list[dict[str, Any]]:
    """Each stage there ever was, and the total: all of the last minute but ``since_start``, a count."""
    now = {**recent.summaries(_STAGES, "stage"), "total": recent.summary(_TOTAL)}
    ever = {**figures.summaries(_STAGES, "stage"), "total": figures.summary(_TOTAL)}
    return [
        {"name": name, **now[name].described(), "since_start": summary.count}
        for name, summary in ever.items()
        if summary.count
    ]


def _cache(caches: Sequence[Mapping[str, Any]], figures: Figures) -> dict[str, Any] | None:
    if not caches:
        return None
    levels = figures.by("llm_memory_cache_answers_total", "level")
    return {
        "coherence": caches[0]["coherence"],
        "breaker": "open" if any(each["breaker"] == "open" for each in caches) else caches[0]["breaker"],
        **{name: sum(each[name] for each in caches) for name in ("entries", "vectors", "bytes")},
        "levels": {key[0].replace("_", " "): int(count) for key, count in levels.items()},
        "counts": dict(sum((Counter(each["counts"]) for each in caches), Counter())),
        "latencies": _latencies([each["latencies"] for each in caches]),
    }


def _latencies(summaries: Iterable[Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Of each kind the sums, and the quantiles of the worker where they are longest."""
    found: dict[str, dict[str, Any]] = {}
    for each in summaries:
        for name, summary in each.items():
            known = found.setdefault(name, {"name": name, "count": 0, "p50": 0.0, "p95": 0.0, "p99": 0.0})
            known["count"] += summary["count"]
            known |= {share: max(known[share], summary[share]) for share in ("p50", "p95", "p99")}
    return list(found.values())
