"""What an exposition says, and outcomes to report."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from router_memory.telemetry import Telemetry
from router_memory.types import CacheLevel, Cut, Explain, Outcome, Reason, Recollection, Scope, Status

__all__ = ["families_of", "injected", "outcome_of", "series_of", "value_of"]

STAGES = {"statistics": 0.0004, "embed": 0.006, "candidates": 0.001, "rank": 0.0003, "select": 0.0001}


def series_of(telemetry: Telemetry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    text = telemetry.exposition()[0].decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value_of(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return series_of(telemetry).get((name, frozenset(labels.items())))


def families_of(telemetry: Telemetry) -> dict[str, set[str]]:
    """Names of samples with the names of their labels."""
    found: dict[str, set[str]] = {}
    for name, labels in series_of(telemetry):
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


def outcome_of(
    status: Status = Status.DISABLED,
    reason: Reason = Reason.DECISION_CONFIG,
    *,
    decision: str | None = "support",
    known: bool = True,
    user: str = "u1",
    found: Recollection | None = None,
    tokens: int = 0,
) -> Outcome:
    began = time.perf_counter() - 0.01
    stages = {} if found is None else dict(found.seconds)
    starts = {} if found is None else dict(found.starts)
    explain = Explain(
        decision,
        known,
        {},
        query="secret text",
        recollection=found,
        injected_tokens=tokens,
        seconds={**stages, "total": 0.01},
        starts={**starts, "total": began},
    )
    return Outcome([{"role": "user", "content": "secret text"}], (), status, reason, explain, Scope(user), "c1")


def injected(*, cache: CacheLevel = CacheLevel.OFF, decision: str | None = "support") -> Outcome:
    began = time.perf_counter() - 0.009
    starts = {stage: began + number * 0.001 for number, stage in enumerate(STAGES)}
    found = Recollection(hits=(), cut=Cut(0.5, 0.5, "fixed", ""), seconds=STAGES, starts=starts, cache=cache)
    return outcome_of(Status.USED, Reason.INJECTED, decision=decision, found=found, tokens=42)
