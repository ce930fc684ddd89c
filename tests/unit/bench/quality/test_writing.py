"""A run of quality as a document of the one schema, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.document import Document, UnreadableDocument, read, write
from bench.quality.writing import opened, written
from tests.unit.bench.test_document import ENVIRONMENT, part

RUN: dict[str, Any] = {
    "benchmark": "quality",
    "command": "python -m bench.quality --data demo.jsonl",
    "environment": ENVIRONMENT,
    "quick": True,
    "backend": "embedded",
    "runtime": "torch",
    "sets": [{"set": "demo", "R@10": 0.75, "nDCG@10": None}],
    "cost": {"rerank_100": {"ms": 1.0, "ratio": 0.2, "target": "≤ 0.12", "met": False}},
}


def test_what_is_written_is_opened_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "quality.json"
    written(RUN, path)
    found = opened(path)
    assert found["environment"]["seed"] == ENVIRONMENT["seed"]
    assert found | {"environment": ENVIRONMENT} == RUN


def test_recall_and_cost_are_claims(tmp_path: Path) -> None:
    """A metric that nothing was asked for is none."""
    path = tmp_path / "quality.json"
    written(RUN, path)
    (retrieval,) = read(path).parts.values()
    assert retrieval.quick
    assert [(claim.name, claim.value, claim.met) for claim in retrieval.claims] == [
        ("demo: R@10", 0.75, None),
        ("rerank of 100 candidates / one embedding by torch", 0.2, False),
    ]


def test_the_document_of_another_benchmark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    write(Document(benchmark="cache", parts={"miss": part()}), path)
    with pytest.raises(UnreadableDocument, match="cache, not quality"):
        opened(path)
