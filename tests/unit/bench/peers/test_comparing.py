"""The claims hold ours against each product that was measured, and against no other."""

from __future__ import annotations

import random

import pytest

from bench.peers.comparing import ask_all, claims_of
from bench.peers.corpus import Asked
from bench.peers.environments import ENVIRONMENTS
from bench.peers.products import FLOOR, INT8, NO_SPEAKER, ON_TORCH, OURS, SHIPPED, Product
from bench.peers.row import Row
from bench.peers.settings import Settings, Size

SIZE = Size(1_000, 20)


class Measured(Row):
    """A row whose figures are given."""

    def __init__(self, product: Product, p50: float, recall: float) -> None:
        super().__init__(product, Settings(), ENVIRONMENTS)
        self._given = p50, recall

    @property
    def p50(self) -> float:
        return self._given[0]

    @property
    def recall(self) -> float:
        return self._given[1]


def product(name: str) -> Product:
    return next(one for one in (FLOOR, *SHIPPED) if one.name == name)


def rows(**others: tuple[float, float]) -> list[Row]:
    found = [Measured(FLOOR, 0.01, 0.0), Measured(product(OURS), 0.004, 0.6)]
    return [*found, *(Measured(product(name), *given) for name, given in others.items())]


def test_each_peer_is_to_be_three_times_slower() -> None:
    claims = {claim.name: claim for claim in claims_of(SIZE, rows(mem0=(0.02, 0.3), Chroma=(0.01, 0.4)), targets=True)}
    assert claims["search p50, mem0 / router-memory at 1000x20"].met is True
    assert claims["search p50, Chroma / router-memory at 1000x20"].met is False
    assert claims["search p50, Chroma / router-memory at 1000x20"].value == pytest.approx(2.5)


def test_ours_is_to_be_first_in_recall() -> None:
    (name,) = [
        claim
        for claim in claims_of(SIZE, rows(mem0=(0.02, 0.7), Chroma=(0.01, 0.4)), targets=True)
        if "best" in claim.name
    ]
    assert "(mem0)" in name.name
    assert name.met is False
    assert name.value == pytest.approx(-0.1)


def test_the_smaller_runtime_is_compared_without_a_target() -> None:
    both = [*rows(mem0=(0.02, 0.3)), Measured(product(INT8), 0.002, 0.6)]
    claims = {claim.name: claim for claim in claims_of(SIZE, both, targets=True)}
    assert claims["search p50, mem0 / router-memory, onnx-int8 at 1000x20"].value == pytest.approx(10.0)
    assert claims["search p50, mem0 / router-memory, onnx-int8 at 1000x20"].met is None


def test_recall_without_what_the_others_are_not_told_stands_beside_the_best_of_them() -> None:
    both = [*rows(mem0=(0.02, 0.55), Chroma=(0.01, 0.4)), Measured(product(NO_SPEAKER), 0.004, 0.5)]
    (claim,) = [one for one in claims_of(SIZE, both, targets=True) if one.name.startswith(f"R@10, {NO_SPEAKER}")]
    assert "(mem0)" in claim.name
    assert claim.value == pytest.approx(-0.05)


def test_ours_on_the_runtime_of_the_others_is_compared_too() -> None:
    both = [*rows(mem0=(0.02, 0.3)), Measured(product(ON_TORCH), 0.01, 0.6)]
    claims = {claim.name: claim for claim in claims_of(SIZE, both, targets=True)}
    assert claims["search p50, mem0 / router-memory, torch at 1000x20"].value == pytest.approx(2.0)


def test_no_row_always_follows_the_same_other() -> None:
    order: list[str] = []

    class Noted(Measured):
        def ask(self, asked: Asked, *, timed: bool, judged: bool) -> None:
            order.append(self.product.name)

    names = ("mem0", "Chroma", "LanceDB")
    noted = [Noted(product(name), 0.01, 0.5) for name in names]
    rng = random.Random(1)
    for _ in range(50):
        ask_all(noted, Asked("u", "?", frozenset()), rng, timed=True, judged=False)
    rounds = [order[start : start + len(names)] for start in range(0, len(order), len(names))]
    assert all(sorted(one) == sorted(names) for one in rounds)
    before = {one[one.index("mem0") - 1] for one in rounds if one.index("mem0")}
    assert before == {"Chroma", "LanceDB"}


def test_what_could_not_be_measured_is_no_claim() -> None:
    claims = claims_of(SIZE, rows(mem0=(float("nan"), float("nan")), Chroma=(0.01, 0.4)), targets=True)
    assert not [claim for claim in claims if "mem0" in claim.name]


def test_with_our_embedder_in_all_nothing_has_a_target() -> None:
    assert all(claim.met is None for claim in claims_of(SIZE, rows(mem0=(0.02, 0.3)), targets=False))


def test_without_ours_there_is_no_claim() -> None:
    failed = [Measured(FLOOR, 0.01, 0.0), Measured(product(OURS), float("nan"), float("nan"))]
    assert claims_of(SIZE, failed, targets=True) == []
