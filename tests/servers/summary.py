"""What was skipped, at the end of every run: a line for each reason, with its count."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

__all__ = ["pytest_terminal_summary"]


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Prints the reasons, the commonest first."""
    reasons = Counter(_reason(report.longrepr) for report in terminalreporter.getreports("skipped"))
    if not reasons:
        return
    terminalreporter.section("NOT TESTED", yellow=True)
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} test{'s' if count > 1 else ''} skipped: {reason}", yellow=True)


def _reason(longrepr: object) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")
