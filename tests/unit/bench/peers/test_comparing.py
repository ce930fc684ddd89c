"""The claims hold ours against each product that was measured, and against no other."""

from __future__ import annotations

import pytest

from bench.peers.comparing import claims_of
from bench.peers.environments import ENVIRONMENTS
from bench.peers.products import FLOOR, INT8, OURS, SHIPPED, Product
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


def test_what_could_not_be_measured_is_no_claim() -> None:
    claims = claims_of(SIZE, rows(mem0=(float("nan"), float("nan")), Chroma=(0.01, 0.4)), targets=True)
    assert not [claim for claim in claims if "mem0" in claim.name]


def test_with_our_embedder_in_all_nothing_has_a_target() -> None:
    assert all(claim.met is None for claim in claims_of(SIZE, rows(mem0=(0.02, 0.3)), targets=False))


def test_without_ours_there_is_no_claim() -> None:
    failed = [Measured(FLOOR, 0.01, 0.0), Measured(product(OURS), float("nan"), float("nan"))]
    assert claims_of(SIZE, failed, targets=True) == []
