"""usearch by itself, with the parameters of the store's graphs."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from bench.scale.settings import DIMENSION
from router_memory.backends.embedded.graph import new_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bare"]


class Bare:
    """One index over all the vectors, as usearch is used out of the box; the store's graph has several.

    Attributes:
        rate: Vectors added a second, all in one call, with as many threads as it takes by itself.

    Args:
        matrix: float32 of shape (n, DIMENSION), unit rows; the keys are their places.
    """

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self._index, began = new_index(DIMENSION), perf_counter()
        self._index.add(np.arange(len(matrix), dtype=np.uint64), matrix)
        self.rate = len(matrix) / (perf_counter() - began)

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Places of the nearest, nearest first."""
        return np.asarray(self._index.search(vector, count, threads=1).keys, np.int64)
