"""From pytest-benchmark's figures to the document that is kept and the table that is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.environment import environment
from bench.stages.measure import EMBED_SECONDS, FACTS

__all__ = ["TARGETS", "calmest", "summary", "table"]

FLOOR = "embed"

TARGETS = {"on_request_without_embedding": 0.35, "rerank_100": 0.12}
"""Most that a stage may take, as a share of one embedding."""

_ORDER = (
    FLOOR,
    "candidates_100",
    "candidates_1000",
    "candidates_10000",
    "rerank_100",
    "inject_10",
    "on_request_without_embedding",
    "on_request",
)


def summary(raw: Mapping[str, Any], *, seed: int, command: str) -> dict[str, Any]:
    """The document: environment, figures of each stage, ratios to the embedding.

    Args:
        raw: What ``--benchmark-json`` wrote. Nothing that names the machine is taken over.
    """
    stages = {_name(one): _figures(one) for one in raw["benchmarks"]}
    ratios = {
        f"{name} / {FLOOR}": {"ratio": stages[name]["ratio_to_embed"]}
        | ({"target": TARGETS[name], "met": stages[name]["ratio_to_embed"] <= TARGETS[name]} if name in TARGETS else {})
        for name in _ORDER
        if name in stages and name != FLOOR
    }
    return {
        "benchmark": "stages",
        "command": command,
        "environment": environment(seed) | {"pytest-benchmark": raw["version"]},
        "summary": ratios,
        "floor_max_over_min": _spread(stages),
        "stages": {name: stages[name] for name in sorted(stages, key=_place)},
    }


def calmest(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The run in which the embedding's time differed least between stages, with the ratios of all runs.

    What is kept is chosen by the floor alone, whatever the stages came to.
    """
    runs = [
        {
            "floor_max_over_min": one["floor_max_over_min"],
            "ratios": {name: figures["ratio"] for name, figures in one["summary"].items()},
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
