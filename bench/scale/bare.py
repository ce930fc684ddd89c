"""usearch by itself, with the parameters of the store's graphs."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from bench.scale.settings import DIMENSION
from router_memory.backends.embedded.hnsw import new_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bare", "bare_build_rate"]


class Bare:
    """The file of the store's graph, mapped and searched without the store.

    Args:
        database: Path of the database; one user in it has a graph.
    """

    def __init__(self, database: Path) -> None:
        (file,) = database.with_name(database.name + ".hnsw").glob("*.usearch")
        self._index = new_index(DIMENSION)
        self._index.view(file)

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.uint64]:
        """Keys of the nearest."""
        return np.asarray(self._index.search(vector, count, threads=1).keys)


def bare_build_rate(matrix: NDArray[np.float32]) -> float:
    """Vectors a second that usearch adds, all in one call, with as many threads as it takes by itself."""
    index, began = new_index(DIMENSION), perf_counter()
    index.add(np.arange(len(matrix), dtype=np.uint64), matrix)
    return len(matrix) / (perf_counter() - began)
