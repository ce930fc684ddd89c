"""The tables of a run, as rows of text: for the terminal and for the documentation alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.quality.data import Unit
from bench.quality.metrics import METRICS
from bench.quality.modes import LEAST_INJECTED, spread
from router_memory.types import RankingMode

__all__ = [
    "Table",
    "ablation",
    "categories",
    "cost",
    "equal_threshold",
    "injection",
    "ranking",
    "speed",
    "tables",
    "units",
]

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        name: Short, one word; the documentation marks its place by it.
        title: What it shows.
        head: Of the columns.
        rows: As many cells each. Columns from `numbers` on are numbers.
        numbers: Number of columns of words.
    """

    name: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int = 2


def tables(documents: Sequence[Document]) -> Iterator[Table]:
    """All tables that have rows.

    Args:
        documents: Runs. Those with the unit, backend and runtime of the first fill all tables. Others were measured for
            comparison: another unit of memory is shown beside the first, of another backend or runtime only the equal
            thresholds are.
    """
    same_unit = [document for document in documents if _unit(document) == _unit(documents[0])]
    alike = [document for document in same_unit if _how(document) == _how(documents[0])]
    for table in (
        ranking(alike),
        categories(alike),
        injection(alike),
        equal_threshold(same_unit),
        units(documents),
        ablation(alike),
        cost(alike),
        speed(alike),
    ):
        if table.rows:
            yield table


def ranking(documents: Sequence[Document]) -> Table:
    """Each order's figures, the configured one first."""
    rows = []
    for figures in _sets(documents):
        name, configured = figures["set"], figures["mode"]
        orders = {f"{configured}, as configured": figures}
        orders |= {mode: found for mode, found in figures["modes"].items() if mode != configured}
        if "reference" in figures:
            orders["the reference's way"] = figures["reference"]
        rows += [[name, order, *_ranked(found)] for order, found in orders.items() if found["n"]]
    return Table("ranking", "Ranking: threshold 0, limit 10", ["memories", "order", *METRICS, "95 % of R@10"], rows)


def categories(documents: Sequence[Document]) -> Table:
    """The configured pipeline by category."""
    rows = [
        [
            figures["set"],
            category,
            str(found["n"]),
            *map(_number, _of(found, METRICS)),
            _interval(found, "R@10"),
        ]
        for figures in _sets(documents)
        for category, found in figures["categories"].items()
        if found["n"]
    ]
    return Table(
        "categories", "By category, as configured", ["memories", "category", "n", *METRICS, "95 % of R@10"], rows
    )


def injection(documents: Sequence[Document]) -> Table:
    """What each rule injects."""
    rows = []
    for figures in _sets(documents):
        rules = dict(figures["rules"])
        if "reference" in figures:
            rules["the reference's way"] = figures["reference"]["injection"]
        for rule, found in rules.items():
            at = f" ({_number(found['threshold'])})" if "threshold" in found else ""
            cells = [_number(found["precision"]), _number(found["recall"])]
            cells += [cell for name in ("F1mix", "BA") for cell in (_number(found[name]), _interval(found, name))]
            rows.append([figures["set"], rule + at, *cells, _number(found["abstention"])])
    head = ["memories", "rule", "precision", "recall", "F1mix", "95 %", "BA", "95 %", "abstention"]
    return Table("injection", "Injection: top 5", head, rows)


def equal_threshold(documents: Sequence[Document]) -> Table:
    """The share of evidence at each threshold, and how far modes, backends and runtimes lie apart."""
    sets: dict[str, list[tuple[str, Document]]] = {}
    for document in documents:
        how = f"{_how(document)}, " if len(documents) > 1 else ""
        for figures, mode in product(document["sets"], RankingMode):
            shares = {at: found["modes"][mode.value] for at, found in figures["equal_threshold"].items()}
            sets.setdefault(figures["set"], []).append((how + mode.value, shares))
    thresholds = next((list(lines[0][1]) for lines in sets.values()), [])
    rows = []
    for name, lines in sets.items():
        rows += [[name, how, *(_share(shares[at]) for at in thresholds)] for how, shares in lines]
        rows.append([name, _APART, *_apart([shares for _, shares in lines], thresholds)])
    if len(sets) > 1:
        over = [_mean_share([lines[place][1] for lines in sets.values()], thresholds) for place in range(_least(sets))]
        rows.append(["mean of the sets", _APART, *_apart(over, thresholds)])
    title = "Share of injected memories that are evidence: top 5, adaptive off"
    return Table(
        "scale", f"{title}; in brackets of fewer than {LEAST_INJECTED}", ["memories", "mode", *thresholds], rows
    )


def units(documents: Sequence[Document]) -> Table:
    """What becomes one memory, and what that brings and costs; empty where all have the same unit."""
    compared = [document for document in documents if _how(document) == _how(documents[0])]
    if len({_unit(document) for document in compared}) < 2:
        compared = []
    rows = [
        [
            figures["set"],
            _unit(document),
            *map(_number, _of(figures, METRICS)),
            *map(_number, _of(figures["injection"], ("F1mix", "BA"))),
            f"{figures['memories']:,}",
            f"{figures['bytes_per_memory'] * figures['memories'] / 1e6:.1f}",
        ]
        for document in compared
        for figures in document["sets"]
    ]
    rows.sort(key=lambda row: [figures["set"] for figures in documents[0]["sets"]].index(row[0]))
    head = ["memories", "unit", *METRICS, "F1mix", "BA", "number", "MB"]
    return Table("units", "What becomes one memory", head, rows)


def ablation(documents: Sequence[Document]) -> Table:
    """What each signal brings."""
    rows = []
    for figures in _sets(documents):
        for signal, found in figures.get("ablation", {}).items():
            if "brings" not in found:
                continue
            cells = [
                cell
                for metric in ("R@10", "nDCG@10")
                for cell in (_signed(found["brings"][metric]), _interval(found, metric, _signed))
            ]
            rows.append([figures["set"], signal, *cells])
    head = ["memories", "signal", "R@10", "95 %", "nDCG@10", "95 %"]
    return Table("ablation", "What each signal of the rerank brings", head, rows)


def cost(documents: Sequence[Document]) -> Table:
    """Ratios to one embedding."""
    named = {"rerank_100": "rerank of 100 candidates", "search_1000": "search at 1,000 memories, without its embedding"}
    rows = [
        [_how(document), title, f"{found[key]['ms']:.2f}", _number(found[key]["ratio"]), found[key]["target"]]
        for document in documents
        for found in [document.get("cost") or {}]
        for key, title in named.items()
        if key in found
    ]
    return Table("cost", "Cost, as a share of one embedding by torch", ["run", "what", "ms", "ratio", "target"], rows)


def speed(documents: Sequence[Document]) -> Table:
    """Time of a search and room of a memory."""
    times = ("ms_per_query_median", "ms_per_query_p95", "ms_without_embedding_median", "ms_without_embedding_p95")
    rows = [
        [figures["set"], *(f"{figures[time]:.1f}" for time in times), f"{figures['bytes_per_memory']:,.0f}"]
        for figures in _sets(documents)
        if times[0] in figures
    ]
    head = ["memories", "ms median", "ms p95", "without embedding", "p95", "bytes a memory"]
    return Table("speed", "A search of ten, and the room of a memory", head, rows, numbers=1)


def _sets(documents: Sequence[Document]) -> Iterator[Document]:
    for document in documents:
        yield from document["sets"]


def _how(document: Document) -> str:
    """Backend and runtime."""
    return f"{document['backend']}, {document['runtime']}"


def _unit(document: Document) -> str:
    return str(document.get("unit", Unit.MESSAGE))


def _ranked(found: Document) -> list[str]:
    return [*map(_number, _of(found, METRICS)), _interval(found, "R@10")]


def _of(found: Document, names: Sequence[str]) -> list[float | None]:
    return [found[name] for name in names]


_APART = "largest difference"


def _apart(lines: Sequence[Document], thresholds: Sequence[str]) -> list[str]:
    return [_number(spread(shares[at] for shares in lines)) for at in thresholds]


def _least(sets: Mapping[str, Sequence[object]]) -> int:
    """How many ways every set was measured in."""
    return min(map(len, sets.values()))


def _mean_share(lines: Sequence[Document], thresholds: Sequence[str]) -> Document:
    """One way's shares over sets that count the same, with the fewest that any of them injected."""
    return {
        at: {
            "share": statistics.fmean(shares[at]["share"] for shares in lines),
            "injected": min(shares[at]["injected"] for shares in lines),
        }
        for at in thresholds
    }


def _share(found: Document) -> str:
    share = _number(found["share"])
    return share if found["injected"] >= LEAST_INJECTED else f"({share})"


def _number(value: float | None) -> str:
    """Three places, without the zero before the point; a dash where nothing was asked."""
    return "–" if value is None else f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{_number(abs(value))}"


def _interval(found: Document, name: str, shown: Callable[[float], str] = _number) -> str:
    ends = found["confidence_95"].get(name)
    return "–" if ends is None else f"{shown(ends[0])} to {shown(ends[1])}"
