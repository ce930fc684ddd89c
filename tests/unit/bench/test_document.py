"""The one schema of the benchmarks' documents: what is written is read again, and what is wrong is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.claims import Claim, at_least, at_most
from bench.document import Document, Part, UnreadableDocument, plain, read, write
from bench.parts import document_part

ROOT = Path(__file__).parents[3]
RESULTS = sorted((ROOT / "bench" / "results").glob("*.json"))
ENVIRONMENT = {
    "date": "2026-01-02",
    "seed": 7,
    "python": "3.11.7",
    "machine": "x86_64",
    "system": "Linux",
    "cpus": 2,
    "versions": {"torch": "2.0"},
    "servers": {},
}


def part(*claims: Claim, **figures: Any) -> Part:
    return document_part(
        command="python -m bench.demo --seed 7",
        quick=False,
        environment=ENVIRONMENT,
        settings={"sizes": (1, 2)},
        facts={},
        claims=claims,
        figures=figures,
    )


def written(folder: Path, change: Callable[[Any], object] = lambda document: None) -> Path:
    """A document with a changed place."""
    path = folder / "demo.json"
    write(Document(benchmark="demo", parts={"one": part(at_most("a / b", 1.25, 1.5), rounds=3)}), path)
    loaded = json.loads(path.read_text(encoding="utf-8"))
    change(loaded)
    path.write_text(json.dumps(loaded), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_every_committed_result_is_of_the_schema(path: Path) -> None:
    assert read(path).benchmark == path.stem.partition("-")[0]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_no_committed_result_names_a_folder_of_the_machine(path: Path) -> None:
    """Commands and settings are shown in the documentation."""
    parts = read(path).parts.values()
    texts = [part.command + json.dumps(part.settings) + json.dumps(part.facts) for part in parts]
    assert [text for text in texts if re.search(r"(?<![\w.])/\w+/", text)] == []


def test_what_is_written_is_read(tmp_path: Path) -> None:
    document = read(written(tmp_path))
    (claim,) = document.parts["one"].claims
    assert (claim.name, claim.value, claim.target, claim.met) == ("a / b", 1.25, "≤ 1.5", True)
    assert document.parts["one"].figures == {"rounds": 3}
    assert document.parts["one"].settings == {"sizes": [1, 2]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.pop("schema"), "has no schema"),
        (lambda document: document.update(schema=2), "has schema 2"),
        (lambda document: document.update(extra=1), "extra"),
        (lambda document: document["parts"]["one"].pop("quick"), r"parts\.one\.quick"),
        (lambda document: document["parts"]["one"].pop("environment"), r"parts\.one\.environment"),
        (lambda document: document["parts"]["one"].update(command="rm -r"), r"parts\.one\.command"),
        (lambda document: document["parts"]["one"]["environment"].update(date="today"), r"environment\.date"),
        (lambda document: document["parts"]["one"]["environment"].update(host="example"), r"environment\.host"),
        (lambda document: document["parts"]["one"]["claims"][0].update(value=1.75), "says otherwise"),
        (lambda document: document["parts"]["one"]["claims"][0].update(value=None), "says otherwise"),
        (lambda document: document["parts"]["one"]["claims"][0].update(met=None), "both target and met"),
        (lambda document: document["parts"]["one"]["claims"][0].update(value="fast"), r"claims\.0\.value"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: Callable[[Any], object], said: str) -> None:
    """With the name of the file."""
    with pytest.raises(UnreadableDocument, match=said) as raised:
        read(written(tmp_path, change))
    assert str(raised.value).startswith("demo.json ")


def test_a_file_that_is_no_json_is_no_document(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableDocument, match="no JSON"):
        read(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_meets_no_target(tmp_path: Path, value: float) -> None:
    path = tmp_path / "demo.json"
    claims = (at_least("ratio", value, 1.0), Claim("other", value))
    write(Document(benchmark="demo", parts={"one": part(*claims, ratio=value)}), path)
    ratio, other = read(path).parts["one"].claims
    assert (ratio.value, ratio.met) == (None, False)
    assert (other.value, other.met) == (None, None)
    assert read(path).parts["one"].figures == {"ratio": None}


def test_figures_of_numpy_become_plain() -> None:
    found = plain({1: np.float32(0.5), "n": np.int64(3), "list": (np.arange(2), {True})})
    assert found == {"1": 0.5, "n": 3, "list": [[0, 1], [True]]}
    assert type(found["n"]) is int


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    broken = Document(benchmark="demo", parts={"one": part()})
    broken.parts["one"].figures["loop"] = broken.parts["one"].figures
    with pytest.raises((RecursionError, ValueError)):
        write(broken, path)
    assert path.read_bytes() == before
