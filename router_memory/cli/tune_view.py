"""How tuning looks on a terminal: a row of bars for each threshold, and what is compared with what is.

The bars are rich's own, which the command line needs anyway. Rows carry exact figures, stay readable without colours
and at any width, and can be copied; none of that holds for curves of braille dots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from router_memory.cli.output import one_line
from router_memory.cli.views import grid
from router_memory.types import CutoffRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.tuning import Point, TuneReport

__all__ = ["rule_title", "span", "view"]

_ROWS = 20
"""Rows of a table, about."""
_STEPS = (0.01, 0.02, 0.05, 0.1)
_NONE = "–"
_SILENCE = "silence: of the questions that should get nothing, the share that does"
_PRECISION = "precision: of what questions with an answer get, the share that is evidence"
_NOW, _CHOSEN = "now", "chosen"
_KINDS = {
    "answerable": "with known evidence",
    "unanswerable": "that nothing answers",
    "others": "asked of another user's memory",
    "unlabelled": "without labels",
}


def view(report: TuneReport) -> RenderableType:
    """Everything but the YAML."""
    parts: list[RenderableType] = [grid(_facts(report))]
    for rule in report.rules:
        points = [point for point in report.points if point.rule is rule]
        parts += [Text(f"\n{rule_title(rule)}", style="bold"), _table(report, points)]
    if report.labelled:
        parts.append(Text(_PRECISION, style="dim"))
    if report.current.silence is not None:
        parts.append(Text(_SILENCE, style="dim"))
    parts += [Text(), _comparison(report)]
    parts += [Text(f"note  {one_line(text)}", style="yellow") for text in report.notes]
    if not report.objective:
        why = report.unmet or "nothing is chosen: name an --objective, such as tokens=300"
        parts.append(Text(why, style="yellow"))
    return Group(*parts)


def rule_title(rule: CutoffRule) -> str:
    """A rule as the configuration says it."""
    return "adaptive_threshold: false" if rule is CutoffRule.FIXED else f"adaptive_threshold: true ({rule.value})"


def span(points: Sequence[Point]) -> tuple[float, float]:
    """The thresholds between which all but a hundredth of what is injected goes, of points in order."""
    most = max(point.memories for point in points)
    low = max((point.threshold for point in points if point.memories >= 0.99 * most), default=points[0].threshold)
    high = min((point.threshold for point in points if point.memories <= 0.01 * most), default=points[-1].threshold)
    return min(low, high), max(low, high)


def _facts(report: TuneReport) -> dict[str, str]:
    questions = ", ".join(f"{number:,} {_KINDS[kind]}" for kind, number in report.questions.items())
    facts = {
        "decision": f"{one_line(report.decision)} of {report.config}",
        "data": f"{report.data}: {report.form}",
        "questions": questions,
        "memories": f"{report.memories:,} of {report.users:,} users",
        "policy": f"at most {report.limit} memories, ranked by {report.mode.value}",
    }
    if report.sample is not None:
        facts["sample"] = f"at most {report.sample:,} questions of the data, seed {report.seed}"
    return facts


def _table(report: TuneReport, points: Sequence[Point]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    table.add_column("threshold", justify="right", no_wrap=True)
    bars = ("precision", "recall") if report.labelled else ("injected",)
    for title in bars:
        table.add_column(title, justify="right", no_wrap=True)
        table.add_column("", ratio=1)
    numbers = ["F1"] if report.labelled else []
    numbers += ["silence"] if report.current.silence is not None else []
    for title in (*numbers, "memories", "tokens"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=len(_CHOSEN))
    for point in _shown(report, points):
        cells: list[RenderableType] = [f"{point.threshold:.2f}"]
        shares = (point.precision, point.recall) if report.labelled else (point.injected,)
        for value, colour in zip(shares, ("cyan", "green"), strict=False):
            cells += [_number(value), Bar(1.0, 0.0, value or 0.0, color=colour)]
        cells += [_number(point.f1)] if report.labelled else []
        cells += [_number(point.silence)] if report.current.silence is not None else []
        marks = _marks(report, point)
        cells += [f"{point.memories:.1f}", f"{point.tokens:,.0f}", Text(marks, style="bold yellow")]
        table.add_row(*cells, style="bold" if marks else "")
    return table


def _shown(report: TuneReport, points: Sequence[Point]) -> list[Point]:
    """About `_ROWS` of them, evenly, where anything changes; with the current and the chosen one."""
    low, high = span(points)
    step = next((step for step in _STEPS if (high - low) / step <= _ROWS), _STEPS[-1])
    return [
        point
        for point in points
        if _marks(report, point)
        or (low <= point.threshold <= high and abs(point.threshold / step - round(point.threshold / step)) < 1e-6)
    ]


def _marks(report: TuneReport, point: Point) -> str:
    marks = [(_NOW, report.current), (_CHOSEN, report.chosen)]
    return ", ".join(name for name, marked in marks if marked == point)


def _comparison(report: TuneReport) -> Table:
    """The configuration as it is beside the choice."""
    points = {_NOW: report.current, **({f"chosen by {report.objective}": report.chosen} if report.chosen else {})}
    table = Table(box=None, header_style="bold", padding=(0, 3, 0, 0), pad_edge=False)
    table.add_column("")
    for title in points:
        table.add_column(title, justify="right")
    rows = [_figures(point) for point in points.values()]
    for name in rows[0]:
        if any(row[name] != _NONE for row in rows):
            table.add_row(Text(name, style="dim"), *(row[name] for row in rows))
    return table


def _figures(point: Point) -> dict[str, str]:
    return {
        "threshold": f"{point.threshold:.2f} {'fixed' if point.rule is CutoffRule.FIXED else point.rule.value}",
        "precision: evidence in what questions with an answer get": _number(point.precision),
        "recall: evidence that is injected": _number(point.recall),
        "F1, injections for nothing counted as wrong": _number(point.f1),
        "questions that get evidence": _number(point.hit_rate),
        "unanswerable questions that get nothing": _number(point.silence_unanswerable),
        "others' questions that get nothing": _number(point.silence_others),
        "balanced: served and left alone, on average": _number(point.balanced),
        "requests that get any memory": _number(point.injected),
        "memories a request": f"{point.memories:.1f}",
        "tokens a request": f"{point.tokens:,.0f}",
    }


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
