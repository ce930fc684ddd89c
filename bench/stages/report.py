"""From pytest-benchmark's figures to the document that is kept and the table that is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.claims import Claim, at_most
from bench.document import Part
from bench.environment import environment
from bench.parts import document_part
from bench.stages.measure import EMBED_SECONDS, FACTS

__all__ = ["TARGETS", "calmest", "measured", "summary", "table"]

FLOOR = "embed"

TARGETS = {"on_request_without_embedding": 0.35, "rerank_100": 0.12}
"""Most that a stage may take, as a share of one embedding."""

_ORDER = (
    FLOOR,
    "embed_configured",
    "candidates_100",
    "candidates_1000",
    "candidates_10000",
    "rerank_100",
    "inject_10",
    "on_request_without_embedding",
    "on_request",
)


def summary(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One run: figures of each stage, and how calm the floor was.

    Args:
        raw: What ``--benchmark-json`` wrote. Nothing that names the machine is taken over.
    """
    stages = {_name(one): _figures(one) for one in raw["benchmarks"]}
    return {
        "pytest-benchmark": raw["version"],
        "floor_max_over_min": _spread(stages),
        "stages": {name: stages[name] for name in sorted(stages, key=_place)},
    }


def measured(
    found: Mapping[str, Any],
    *,
    command: str,
    seed: int,
    quick: bool,
    settings: Mapping[str, int],
    facts: Mapping[str, Any],
) -> Part:
    """The part of the document: claims are ratios to the embedding, of the run that was kept.

    Args:
        found: What `calmest` gives.
    """
    where = environment(seed)
    versions = where["versions"] | {"pytest-benchmark": found["pytest-benchmark"]}
    return document_part(
        command=command,
        quick=quick,
        environment=where | {"versions": versions},
        settings=settings,
        facts=facts,
        claims=[
            at_most(f"{name} / {FLOOR}", ratio, TARGETS[name]) if name in TARGETS else Claim(f"{name} / {FLOOR}", ratio)
            for name, ratio in _ratios(found).items()
        ],
        figures={name: found[name] for name in ("floor_max_over_min", "stages", "runs")},
    )


def calmest(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The run in which the embedding's time differed least between stages, with the ratios of all runs.

    What is kept is chosen by the floor alone, whatever the stages came to.
    """
    runs = [
        {
            "floor_max_over_min": one["floor_max_over_min"],
            "ratios": {f"{name} / {FLOOR}": ratio for name, ratio in _ratios(one).items()},
        }
        for one in documents
    ]
    return {**min(documents, key=lambda one: float(one["floor_max_over_min"])), "runs": runs}


def table(document: Mapping[str, Any]) -> str:
    """The figures for a terminal."""
    lines = [f"{'stage':<30}{'median ms':>11}{'p95 ms':>9}{'embed ms':>10}{'ratio':>8}  target"]
    for name, one in document["stages"].items():
        target = f"≤ {TARGETS[name]:.2f}" if name in TARGETS else ""
        verdict = "" if name not in TARGETS else "  met" if one["ratio_to_embed"] <= TARGETS[name] else "  MISSED"
        lines.append(
            f"{name:<30}{one['median_seconds'] * 1e3:>11.3f}{one['p95_seconds'] * 1e3:>9.3f}"
            f"{one['embed_median_seconds'] * 1e3:>10.3f}{one['ratio_to_embed']:>8.3f}  {target}{verdict}"
        )
    lines.append(f"\nembed ms differs by a factor of {document['floor_max_over_min']:.2f} between stages; 1 is calm")
    if len(document["runs"]) > 1:
        lines.append(f"the calmest of {len(document['runs'])} runs; ratios over all of them:")
        for name in document["runs"][0]["ratios"]:
            ratios = [run["ratios"][name] for run in document["runs"]]
            lines.append(f"  {name:<38}{min(ratios):.3f} to {max(ratios):.3f}")
    return "\n".join(lines)


def _ratios(run: Mapping[str, Any]) -> dict[str, float]:
    """Of each stage but the floor."""
    return {name: one["ratio_to_embed"] for name, one in run["stages"].items() if name != FLOOR}


def _name(one: Mapping[str, Any]) -> str:
    """``test_candidates[100]`` -> ``candidates_100``."""
    return str(one["name"]).removeprefix("test_").replace("[", "_").removesuffix("]")


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _spread(stages: Mapping[str, Mapping[str, Any]]) -> float:
    """The embedding's slowest median over its fastest: what the machine's other work did to this run, ≥ 1."""
    medians = [one["embed_median_seconds"] for one in stages.values()]
    return float(max(medians) / min(medians))


def _figures(one: Mapping[str, Any]) -> dict[str, Any]:
    seconds, floor = np.array(one["stats"]["data"]), np.array(one["extra_info"][EMBED_SECONDS])
    return {
        **one["extra_info"][FACTS],
        "rounds": len(seconds),
        "median_seconds": float(np.median(seconds)),
        "p95_seconds": float(np.percentile(seconds, 95)),
        "embed_median_seconds": float(np.median(floor)),
        "embed_p95_seconds": float(np.percentile(floor, 95)),
        "ratio_to_embed": float(np.median(seconds) / np.median(floor)),
    }
