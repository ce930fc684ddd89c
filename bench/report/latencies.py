"""When the first token comes, through the service and through the pass-through beside it."""

from __future__ import annotations

from bench.report.documents import Documents, figures
from bench.report.tables import markdown, milliseconds

__all__ = ["latencies"]

_PARTS = {"off": "memory switched off", "hit": "level 1 of the cache", "miss": "a new question, embedded and searched"}


def latencies(documents: Documents) -> str | None:
    """Median and 95th percentile of one client's streamed chats.

    Each cell is the median of the rounds, and what is more is the difference of two cells: of the same quantile of two
    distributions, not a quantile of differences.
    """
    rows = []
    for part, label in _PARTS.items():
        found = figures(documents, "service", part)
        if found is None:
            continue
        plain, service = found["alone"]["plain"], found["alone"]["service"]
        row = [label]
        for quantile in ("first_p50_ms", "first_p95_ms"):
            more = service[quantile] - plain[quantile]
            row += [milliseconds(plain[quantile]), milliseconds(service[quantile]), milliseconds(more)]
        rows.append(row)
    head = ["", "pass-through, p50", "service, p50", "more", "pass-through, p95", "service, p95", "more"]
    return markdown(head, rows) if rows else None
