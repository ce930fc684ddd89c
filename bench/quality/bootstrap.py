"""95 % intervals by the bootstrap (Efron 1979): questions are drawn anew, with replacement, from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Bootstrap", "Interval"]

Interval = tuple[float, float]
"""Lower and upper end."""

Floats = NDArray[np.float64]


class Bootstrap:
    """Draws for samples of any size. Samples of one size get the same draws, so what is compared is paired.

    Args:
        seed: Of the draws.
        rounds: How many, ≥ 1.
    """

    def __init__(self, seed: int, rounds: int = 1000) -> None:
        self._seed = seed
        self._rounds = rounds
        self._weights: dict[int, Floats] = {}

    def mean(self, values: Sequence[float]) -> Interval | None:
        """Of the mean; ``None`` without values."""
        return self.of_sums(np.array(values, dtype=np.float64)[:, None], lambda sums: sums[:, 0] / len(values))

    def difference(self, values: Sequence[float], others: Sequence[float]) -> Interval | None:
        """Of the difference of the means of two measurements of the same questions, in the same order."""
        return self.mean([value - other for value, other in zip(values, others, strict=True)])

    def of_sums(self, rows: ArrayLike, figure: Callable[[Floats], Floats]) -> Interval | None:
        """Of a figure that depends on sums over the questions alone; ``None`` without questions.

        Args:
            rows: What is summed. Shape (questions, summands).
            figure: Takes sums of shape (rounds, summands) to the figure of each round, shape (rounds,).
        """
        values = np.asarray(rows, dtype=np.float64)
        if not len(values):
            return None
        low, high = np.percentile(figure(self._drawn(len(values)) @ values), (2.5, 97.5))
        return float(low), float(high)

    def _drawn(self, count: int) -> Floats:
        """How often each question is in each draw. Shape (rounds, count)."""
        weights = self._weights.get(count)
        if weights is None:
            rng = np.random.default_rng((self._seed, count))
            even = np.full(count, 1.0 / count)
            weights = self._weights[count] = rng.multinomial(count, even, size=self._rounds).astype(np.float64)
        return weights
