"""Tables of single benchmarks, where claims in a list would not be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.report.documents import Documents, figures
from bench.report.latencies import latencies
from bench.report.sampled import functions, rooms
from bench.report.tables import markdown, milliseconds, number, percent
from bench.stages.report import TARGETS

__all__ = ["SPECIAL"]

_STAGES = {
    "embed": "embed one short query, torch",
    "embed_configured": "embed it with the default runtime",
    "candidates_100": "candidates of 100 memories",
    "candidates_1000": "candidates of 1,000 memories",
    "candidates_10000": "candidates of 10,000 memories",
    "rerank_100": "rerank of 100 candidates",
    "inject_10": "inject 10 memories",
    "on_request_without_embedding": "`on_request` without its embedding, 1,000 memories",
    "on_request": "`on_request` with torch, 1,000 memories",
}
_DAY = {
    "without": "none",
    "level 1 alone": "level 1",
    "both levels": "both",
    "both levels, 3 processes": "both, 3 processes",
}
_MEGABYTE = 1e6


def _times(documents: Documents) -> str | None:
    """Each stage beside the embedding; the range of the ratio where there are several runs."""
    found = figures(documents, "stages", "stages")
    if found is None:
        return None
    rows = []
    for stage, label in _STAGES.items():
        one = found["stages"].get(stage)
        if one is None:
            continue
        ratios = [run["ratios"][name] for run in found["runs"] if (name := f"{stage} / embed") in run["ratios"]]
        within = f"{min(ratios):.3f} – {max(ratios):.3f}" if len(ratios) > 1 else ""
        verdict = "met" if one["ratio_to_embed"] <= TARGETS.get(stage, 0) else "**missed**"
        rows.append(
            [
                label,
                *(f"{one[name] * 1e3:.2f} ms" for name in ("median_seconds", "p95_seconds", "embed_median_seconds")),
                f"{one['ratio_to_embed']:.3f}",
                _ratio(one, found["stages"].get("embed_configured")),
                within,
                f"≤ {TARGETS[stage]:g}, {verdict}" if stage in TARGETS else "",
            ]
        )
    head = [
        "stage",
        "median",
        "p95",
        "embedding beside it, median",
        "ratio",
        "to the default runtime",
        "over all runs",
        "target",
    ]
    return markdown(head, rows)


def _ratio(stage: Mapping[str, Any], configured: Mapping[str, Any] | None) -> str:
    """Of a stage to an embedding by the default runtime. Either was timed beside torch, which cancels."""
    return f"{stage['ratio_to_embed'] / configured['ratio_to_embed']:.3f}" if configured else "–"


def _day(documents: Documents) -> str | None:
    """What each form of the cache did on the generated day."""
    found = figures(documents, "cache", "trace")
    if found is None:
        return None
    rows = []
    for store in ("embedded", "valkey"):
        for name, label in _DAY.items():
            one = found.get(store, {}).get(name)
            if one is None:
                continue
            cached, shared = name != "without", name.startswith("both")
            rows.append(
                [
                    store.replace("valkey", "Valkey"),
                    label,
                    percent(one["level_1"]) if cached else "",
                    percent(one["level_2"]) if shared else "",
                    percent(one["joined"]) if cached else "",
                    milliseconds(one["mean_ms"]),
                    percent(one["embeddings_saved_share"]) if cached else "",
                    percent(one["searches_saved_share"]) if cached else "",
                ]
            )
    head = ["store", "cache", "level 1", "level 2", "joined", "mean latency", "embeddings saved", "searches saved"]
    return markdown(head, rows, words=2)


def _peers(documents: Documents, part: str) -> str | None:
    """Every product at every size, also those that could not be measured, with the reason."""
    found = figures(documents, "peers", part)
    if found is None:
        return None
    rows = [
        [f"{size['memories']:,} of {size['users']:,} users", name, *_product(one)]
        for size in found["sizes"].values()
        for name, one in size["rows"].items()
    ]
    head = [
        "memories",
        "product",
        "R@10",
        "search p50",
        "p95",
        "adds a second",
        "one add, p50",
        "MB at most",
        "MB on disk",
        "MB in the server",
    ]
    return markdown(head, rows, words=2)


def _product(row: Mapping[str, Any]) -> Sequence[str]:
    if "reason" in row:
        return [f"not measured: {row['reason']}", *[""] * 7]
    search, held = row.get("search", {}), row.get("bytes", {})
    if not row.get("added_by"):  # the floor, which embeds and stores nothing
        return ["", milliseconds(search.get("p50_ms")), milliseconds(search.get("p95_ms")), *[""] * 5]
    return [
        number(row.get("R@10")),
        milliseconds(search.get("p50_ms")),
        milliseconds(search.get("p95_ms")),
        number(row.get("add", {}).get("a_second")),
        milliseconds(row.get("add_one", {}).get("p50_ms")),
        _megabytes(held.get("peak_resident")),
        _megabytes(held.get("disk")),
        _megabytes(held["server"]) if "server" in held else "",
    ]


def _megabytes(size: float | None) -> str:
    return number(None if size is None else size / _MEGABYTE)


SPECIAL: Mapping[str, tuple[str, Callable[[Documents], str | None]]] = {
    "stages/times": ("stages", _times),
    "service/latency": ("service", latencies),
    "profile/rooms": ("profile", rooms),
    "profile/functions": ("profile", functions),
    "cache/day": ("cache", _day),
    "peers/as-shipped": ("peers", lambda documents: _peers(documents, "shipped")),
    "peers/told": ("peers", lambda documents: _peers(documents, "told")),
    "peers/same-runtime": ("peers", lambda documents: _peers(documents, "runtime")),
}
"""By block: the benchmark it needs, and what makes it; ``None`` when that was not measured."""
