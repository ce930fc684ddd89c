"""Draws what tuning found out into a PNG file, with matplotlib."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from router_memory.cli.output import one_line
from router_memory.cli.streams import output_stream
from router_memory.cli.tune_view import rule_title, span
from router_memory.errors import InvalidRequest, MissingExtra
from router_memory.tuning import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from router_memory.tuning import Point, TuneReport

__all__ = ["check_plot", "draw"]

_INCHES = (11.0, 6.5)
_DOTS_PER_INCH = 120
_SHARES = (
    ("precision", "tab:blue"),
    ("recall", "tab:green"),
    ("f1", "tab:purple"),
    ("silence", "tab:gray"),
)
_TITLES = {
    "precision": "precision of what questions with an answer get",
    "f1": "F1",
    "silence": "silence on negatives",
    "injected": "requests with any memory",
}


def check_plot(file: Path) -> None:
    """That the file can be drawn.

    Raises:
        InvalidRequest: It is not named as a PNG file, or its folder is not there.
        MissingExtra: matplotlib is not installed.
    """
    if file.suffix.lower() != ".png":
        raise InvalidRequest(f"--plot draws PNG files, and {str(file)!r} does not end in .png", field="plot")
    if not file.absolute().parent.is_dir():
        raise InvalidRequest(f"--plot: there is no folder {file.absolute().parent}", field="plot")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("--plot", extra="plot")


def draw(report: TuneReport, file: Path) -> None:
    """Draws shares above and tokens below, a column for each rule, over the thresholds where anything changes.

    Raises:
        MissingExtra: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("--plot", extra="plot") from None
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots(2, len(report.rules), sharex=True, sharey="row", squeeze=False, height_ratios=(2, 1))
    by_rule = [[point for point in report.points if point.rule is rule] for rule in report.rules]
    spans = [span(points) for points in by_rule]
    for column, (rule, points) in enumerate(zip(report.rules, by_rule, strict=True)):
        shares, tokens = axes[0, column], axes[1, column]
        _lines(shares, report, points)
        shares.set_title(rule_title(rule), fontsize=10)
        tokens.plot([one.threshold for one in points], [one.tokens for one in points], color="tab:orange")
        tokens.set_xlabel("similarity_threshold")
        for axis in (shares, tokens):
            _marks(axis, report, points)
            axis.grid(visible=True, alpha=0.3)
    axes[0, 0].set_xlim(min(low for low, _ in spans) - 0.01, max(high for _, high in spans) + 0.01)
    axes[0, 0].set_ylim(0.0, 1.02)
    axes[0, 0].set_ylabel("share")
    axes[1, 0].set_ylim(bottom=0.0)
    axes[1, 0].set_ylabel("tokens a request")
    legend = {
        label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(legend.values(), legend, loc="outside lower center", ncols=len(legend), frameon=False, fontsize=9)
    asked = sum(number for kind, number in report.questions.items() if kind != Kind.OTHERS)
    title = f"{one_line(report.decision)}: {asked:,} questions, at most {report.limit} memories each"
    figure.suptitle(title.replace("$", r"\$"), fontsize=12)
    with output_stream(str(file)) as stream:
        figure.savefig(stream, format="png", metadata={"Software": None})


def _lines(axis: Any, report: TuneReport, points: Sequence[Point]) -> None:
    thresholds = [point.threshold for point in points]
    drawn = _SHARES if report.labelled else (("injected", "tab:blue"), ("silence", "tab:gray"))
    for name, colour in drawn:
        values = [getattr(point, name) for point in points]
        if any(value is not None for value in values):
            numbers = [float("nan") if value is None else value for value in values]
            axis.plot(thresholds, numbers, color=colour, label=_TITLES.get(name, name))


def _marks(axis: Any, report: TuneReport, points: Sequence[Point]) -> None:
    if report.current in points:
        axis.axvline(report.current.threshold, color="black", linestyle=":", label=f"now {report.current.threshold:g}")
    if report.chosen in points and report.chosen is not None:
        label = f"chosen by {report.objective} {report.chosen.threshold:g}"
        axis.axvline(report.chosen.threshold, color="tab:red", linestyle="--", label=label)
