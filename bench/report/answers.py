"""What an operator asks, answered by claims of several benchmarks in one short table each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.catalogue import named
from bench.document import Stated
from bench.report.documents import Documents
from bench.report.tables import markdown, milliseconds, number, percent, target

__all__ = ["ANSWERS", "Pick", "answer"]

_QUICK = " (quick run)"


def _times(value: float | None) -> str:
    return f"{number(value)} ×" if value is not None else number(value)


def _more(value: float | None) -> str:
    return f"+{milliseconds(value)}" if value is not None and value > 0 else milliseconds(value)


@dataclass(frozen=True, slots=True)
class Pick:
    """A row, or one for each claim that fits.

    Attributes:
        label: Of the row; ``{0}`` and so on are what the pattern's brackets hold.
        benchmark, part: Where it is measured.
        pattern: Of the claim's whole name.
        shown: How the figure is written.
    """

    label: str
    benchmark: str
    part: str
    pattern: str
    shown: Callable[[float | None], str] = number


ANSWERS: Mapping[str, Sequence[Pick]] = {
    "cost": (
        Pick("memory switched off", "service", "off", r"memory off, first token, ms more", _more),
        Pick("memories from level 1 of the cache", "service", "hit", r"level 1 hit, first token, ms more", _more),
        Pick(
            "memories searched, besides the embedding",
            "service",
            "miss",
            r"miss, first token, ms more than the embedding",
            _more,
        ),
        Pick("the embedding itself", "service", "miss", r"embedding a question, ms", milliseconds),
        Pick(
            "requests of a generated day that the cache answers",
            "cache",
            "trace",
            r"embedded, level 1 alone: requests answered by the cache",
            percent,
        ),
    ),
    "size": (
        Pick("embedded store, {0}: p50 of a search", "scale", "users", r"(.+): search, hot, p50 ms", milliseconds),
        Pick("embedded store, {0}: recall@10", "scale", "users", r"(.+): recall@10"),
        Pick("embedded store, {0}: p50 of a search", "scale", "scope", r"(.+): search, p50 ms", milliseconds),
        Pick("embedded store, {0}: recall@10", "scale", "scope", r"(.+): recall@10"),
        Pick(
            "Valkey store, p50 of a search {0} memories in all / {1}",
            "valkey",
            "searches",
            r"search (at 1,000,000), p50 / (at .+)",
            _times,
        ),
        Pick("Valkey store, KB for a memory, {0}", "valkey", "memory", r"KB per memory (at [\d,]+).*"),
        Pick("{0}", "throughput", "callers", r"(\d+ callers, auto, requests / texts of .+)", _times),
    ),
    "comparison": (
        Pick("{0}", "peers", "shipped", r"(R@10.*)"),
        Pick("with the speaker in everybody's texts: {0}", "peers", "told", r"(R@10, router-memory − .*)"),
        Pick("{0}", "peers", "shipped", r"(search p50, (?!router-memory).+ / router-memory(?:, torch)? at .+)", _times),
        Pick("with our embedder in all: {0}", "peers", "runtime", r"(search p50, .*)", _times),
    ),
}


def answer(name: str, documents: Documents) -> str:
    """The table of an answer; a row whose benchmark was not measured says which that is.

    Raises:
        KeyError: There is no such answer.
    """
    rows: list[list[str]] = []
    for pick in ANSWERS[name]:
        document = documents.get(pick.benchmark)
        part = document.parts.get(pick.part) if document else None
        if part is None:
            row = [named(pick.benchmark).answers, "not measured yet", "", f"`bench.{pick.benchmark}`"]
            rows += [row] if row not in rows else []
            continue
        source = f"`bench.{pick.benchmark}`"
        for claim in part.claims:
            fits = re.fullmatch(pick.pattern, claim.name)
            if fits:
                label = pick.label.format(*fits.groups())
                rows.append([label, _figure(pick, claim, quick=part.quick), target(claim), source])
    return markdown(["", "figure", "target", "measured by"], rows)


def _figure(pick: Pick, claim: Stated, *, quick: bool) -> str:
    return pick.shown(claim.value) + (_QUICK if quick else "")
