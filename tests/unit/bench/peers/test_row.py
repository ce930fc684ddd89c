"""A row says what its product did, or why it could not; nothing a product does ends the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.peers import process, row
from bench.peers.corpus import Asked, Corpus
from bench.peers.drivers.serving import Memory
from bench.peers.environments import NotInstalled
from bench.peers.products import Product
from bench.peers.row import Row
from bench.peers.settings import Settings

PRODUCT = Product("double", "double", "double", path="one by one")
NOTHING_STORED = Product("floor", "double", "double", path="")
MEMORIES = tuple(
    Memory(f"m{n}", "ann", "s", n, "user", "Ann", "2025-01-01T00:00:00+00:00", f"text {n}") for n in range(3)
)
CORPUS = Corpus(MEMORIES, (Asked("ann", "text 1", frozenset({"text 1"})),), MEMORIES[:1], 1)
SETTINGS = Settings(chunk=2, budget_seconds=60.0)

DOUBLE = """
from bench.peers.drivers.serving import serve

class Double:
    def __init__(self, options):
        self.texts = []
    def add(self, memories, until):
        {add}
    def add_one(self, memory):
        self.texts.append(memory.text)
    def search(self, user, question, limit):
        print("noise of a product")
        {search}
    def filled(self):
        {filled}
    def close(self):
        pass

serve(Double, ["pip"])
"""
ADD = "self.texts += [one.text for one in memories]; return len(memories)"
SEARCH = "return [text for text in self.texts if text == question]"


@contextmanager
def opened(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *,
    add: str = ADD,
    search: str = SEARCH,
    filled: str = "pass",
    settings: Settings = SETTINGS,
    product: Product = PRODUCT,
) -> Iterator[Row]:
    """A row over a driver that is a script of the test's own."""
    script = folder / "double.py"
    script.write_text(DOUBLE.format(add=add, search=search, filled=filled), encoding="utf-8")
    monkeypatch.setattr(process, "command_of", lambda python, module: [str(python), str(script)])
    monkeypatch.setattr(row, "environment", lambda name, place: Path(sys.executable))
    monkeypatch.setattr(row, "locate", lambda name: folder)
    with Row(product, settings, folder) as one:
        yield one


def measured(one: Row) -> None:
    one.fill(CORPUS)
    for asked in CORPUS.questions:
        one.ask(asked, timed=True, judged=True)
    one.weigh()
    one.add_singles(CORPUS)


def test_a_product_that_finds_the_evidence_has_full_recall(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with opened(monkeypatch, tmp_path) as one:
        measured(one)
    document = one.document()
    assert document["R@10"] == 1.0
    assert document["add"]["memories"] == 3
    assert document["search"]["calls"] == document["add_one"]["calls"] == 1
    assert document["bytes"]["peak_resident"] > 0
    assert document["versions"]["pip"]
    assert "reason" not in document


def test_what_a_product_drops_does_not_make_it_faster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its rate is of what it stored, not of what it was handed."""
    with opened(monkeypatch, tmp_path, filled="return 1") as one:
        measured(one)
    add = one.document()["add"]
    assert (add["memories"], one.document()["stored"]) == (3, 1)
    assert add["a_second"] == pytest.approx(add["handed_a_second"] / 3, rel=0.01)


def test_the_floor_is_timed_and_not_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with opened(monkeypatch, tmp_path, product=NOTHING_STORED) as one:
        measured(one)
    document = one.document()
    assert document["search"]["calls"] == 1
    assert "R@10" not in document
    assert "add" not in document


def test_a_product_that_raises_gives_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with opened(monkeypatch, tmp_path, search="raise ValueError('no index')") as one:
        measured(one)
    assert "ValueError: no index" in one.document()["reason"]
    assert "R@10" not in one.document()


def test_a_product_that_ends_gives_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with opened(monkeypatch, tmp_path, add="import os; print('out of room'); os._exit(3)") as one:
        measured(one)
    assert "add: the process ended" in one.reason


def test_a_product_over_its_budget_is_not_finished(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    budget = Settings(chunk=2, budget_seconds=0.0)
    with opened(monkeypatch, tmp_path, settings=budget) as one:
        measured(one)
    assert "not finished: 0 of 3 memories" in one.document()["reason"]
    assert "search" not in one.document()


def test_a_product_that_cannot_be_installed_stays_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(name: str, place: Path) -> Path:
        raise NotInstalled("no matching distribution")

    monkeypatch.setattr(row, "environment", refused)
    with Row(PRODUCT, SETTINGS, tmp_path) as one:
        measured(one)
    assert one.document()["reason"] == "NotInstalled: no matching distribution"
