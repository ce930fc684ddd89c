"""The inner products of many vectors with one, and whose are the greatest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["dots", "top_owners"]


def dots(matrix: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """One inner product for each row: float32 of shape (rows,).

    Not ``matrix @ vector``: BLAS shares that out among threads of its own, which then wait for one another, while
    reading the matrix from memory takes one thread as long as two. Where the model or another search has the other
    processors, which is where searches run, the product takes several times as long.

    Args:
        matrix: float32 of shape (rows, dimension).
        vector: float32 of shape (dimension,).
    """
    found: NDArray[np.float32] = np.vecdot(matrix, vector)
    return found


def top_owners(owners: NDArray[np.int64], scores: NDArray[np.float32], limit: int) -> list[int]:
    """The `limit` different owners of the greatest scores, those of greater ones first; all where there are fewer.

    Args:
        owners: Of shape (n,); one may own several scores.
        scores: Of shape (n,).
        limit: At least 1.
    """
    wanted = limit
    while wanted < len(scores):
        top = np.argpartition(-scores, wanted)[:wanted]
        if len(np.unique(owners[top])) >= limit:
            order = owners[top[np.argsort(-scores[top], kind="stable")]].tolist()
            return list(dict.fromkeys(order))[:limit]
        wanted *= 2
    order = owners[np.argsort(-scores, kind="stable")].tolist()
    return list(dict.fromkeys(order))[:limit]
