"""What tuning found out: plain data, for a renderer or for JSON through `describe`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router_memory.tuning.sweep import Point
from router_memory.types import CutoffRule, RankingMode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TuneReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneReport:
    """Everything `router-memory tune` shows. No content of a memory or a question is in it, and no id.

    Attributes:
        data, config: The files.
        form: ``conversations``, ``labelled traffic`` or ``traffic``.
        decision: Whose policy was tried.
        mode, limit: How candidates were ordered, and the most memories a request gets.
        rules: The rules tried: the fixed threshold, and the configured way to raise it.
        questions: How many were asked, by what ought to come of them.
        users, memories: Whose memories were asked, and how many those are.
        sample: Most questions that were to be taken of the data; ``None`` for all.
        seed: What they were drawn by.
        points: The figures at every setting, by rule and threshold.
        current: Those of the configuration as it is.
        objective: The trade-off wanted; empty for none.
        chosen: The best by it; ``None`` where none was chosen.
        unmet: Why none was, where one was wanted, or none could have been: all points are alike.
        yaml: The decision with the chosen setting; empty without one.
        notes: What one should know of the figures.
    """

    data: str
    config: str
    form: str
    decision: str
    mode: RankingMode
    limit: int
    rules: tuple[CutoffRule, ...]
    questions: Mapping[str, int]
    users: int
    memories: int
    sample: int | None
    seed: int
    points: tuple[Point, ...]
    current: Point
    objective: str
    chosen: Point | None
    unmet: str
    yaml: str
    notes: tuple[str, ...]

    @property
    def labelled(self) -> bool:
        """Whether the data say what is relevant."""
        return self.current.recall is not None
