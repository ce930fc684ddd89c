"""Figures out of the metrics of all workers, for the dashboard. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["FEW", "Figures", "Summary"]

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_QUANTILES = (0.5, 0.95, 0.99)

FEW = 20
"""Below so many observations a place within a bucket would be made up; above, two digits are what buckets give."""
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Summary:
    """What a histogram comes to.

    Attributes:
        count: Of the observations.
        p50, p95, p99: In the histogram's unit, to two digits. ``None`` where there is no observation, or where there
            are few and this one lies beyond the last bound.
        at_most: Whether they are few (`FEW`): each quantile is then the upper bound of the bucket it falls into.
            Otherwise quantiles are interpolated within their buckets.
    """

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    at_most: bool

    def described(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Figures:
    """The samples of an exposition in the text format of Prometheus.

    Args:
        exposition: The text.
    """

    def __init__(self, exposition: bytes) -> None:
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        for line in exposition.decode().splitlines():
            found = None if line.startswith("#") else _SAMPLE.match(line)
            if found is not None:
                self._samples[found[1]].append((dict(_LABEL.findall(found[2] or "")), float(found[3])))

    def since(self, earlier: Figures) -> Figures:
        """What has been added to counters and histograms since an earlier look."""
        added = Figures(b"")
        for name, samples in self._samples.items():
            before = {tuple(sorted(had.items())): value for had, value in earlier._samples.get(name, ())}
            added._samples[name] = [
                (had, max(value - before.get(tuple(sorted(had.items())), 0.0), 0.0)) for had, value in samples
            ]
        return added

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series of a metric that have these labels."""
        return sum(value for had, value in self._samples.get(name, ()) if labels.items() <= had.items())

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The sums by the values of some labels."""
        sums: dict[tuple[str, ...], float] = defaultdict(float)
        for had, value in self._samples.get(name, ()):
            sums[tuple(had.get(label, "") for label in labels)] += value
        return dict(sums)

    def summary(self, name: str, **labels: str) -> Summary:
        """What the histograms of that name and these labels come to together."""
        buckets: dict[float, float] = defaultdict(float)
        for had, value in self._samples.get(f"{name}_bucket", ()):
            if labels.items() <= had.items():
                buckets[float(had["le"])] += value
        ordered = sorted(buckets.items())
        count = ordered[-1][1] if ordered else 0.0
        few = 0 < count < FEW
        p50, p95, p99 = (_quantile(ordered, count * share, whole_buckets=few) for share in _QUANTILES)
        return Summary(int(count), p50, p95, p99, few)

    def summaries(self, name: str, label: str) -> dict[str, Summary]:
        """The same for each value of a label."""
        values = {key[0] for key in self.by(f"{name}_count", label)}
        return {value: self.summary(name, **{label: value}) for value in sorted(values)}


def _quantile(buckets: Sequence[tuple[float, float]], rank: float, *, whole_buckets: bool) -> float | None:
    """The value of a rank, in the bucket it falls into: as far as it falls, or the bucket's upper bound."""
    low, before = 0.0, 0.0
    for bound, upto in buckets:
        if upto >= rank and upto > before:
            if bound == float("inf"):
                return None if whole_buckets else low
            within = 1.0 if whole_buckets else (rank - before) / (upto - before)
            return _rounded(low + (bound - low) * within)
        low, before = bound, upto
    return None


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
