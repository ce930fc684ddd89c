"""The run as a document of the one schema, and back; see `bench.document`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.claims import Claim
from bench.document import Document, Part, UnreadableDocument, read, write
from bench.parts import document_part

__all__ = ["NAME", "PART", "opened", "part", "written"]

NAME = "quality"
PART = "retrieval"
_METRICS = ("R@10", "nDCG@10")


def part(run: Mapping[str, Any]) -> Part:
    """A run as the one part there is: what was asked, then where it ran, then all figures."""
    return document_part(
        command=run["command"],
        quick=run.get("quick", False),
        environment=run["environment"],
        settings={name: run[name] for name in ("backend", "unit", "runtime", "model") if name in run},
        facts={},
        claims=list(_claims(run)),
        figures={name: value for name, value in run.items() if name not in ("benchmark", "command", "environment")},
    )


def written(run: Mapping[str, Any], path: Path) -> None:
    """Writes a run, which may be of some of its sets as yet."""
    write(Document(benchmark=NAME, parts={PART: part(run)}), path)


def opened(path: Path) -> dict[str, Any]:
    """The run in a file.

    Raises:
        FileNotFoundError: There is none.
        UnreadableDocument: It holds no run of this benchmark.
    """
    document = read(path)
    if document.benchmark != NAME or PART not in document.parts:
        raise UnreadableDocument(f"{path.name} holds the benchmark {document.benchmark}, not {NAME}")
    measured = document.parts[PART]
    return {
        "benchmark": NAME,
        "command": measured.command,
        "environment": measured.environment.model_dump(),
        **measured.figures,
    }


def _claims(run: Mapping[str, Any]) -> Iterator[Claim]:
    for figures in run["sets"]:
        for metric in _METRICS:
            if figures[metric] is not None:
                yield Claim(f"{figures['set']}: {metric}", figures[metric])
    names = {"rerank_100": "rerank of 100 candidates", "search_1000": "search at 1,000 memories without its embedding"}
    for key, name in names.items():
        if key in (run.get("cost") or {}):
            one = run["cost"][key]
            yield Claim(f"{name} / one embedding by torch", one["ratio"], one["target"], one["met"])
