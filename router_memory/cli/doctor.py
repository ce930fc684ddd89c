"""`doctor`: whether configuration, model, store and cache are well, and what to do where they are not."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from router_memory.cli import options as opt
from router_memory.cli.output import console, emit_json, printable, safe
from router_memory.plugin.describe import describe
from router_memory.types.finding import REACHABLE, CheckStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.types import Finding

__all__ = ["doctor"]

_STYLES = {CheckStatus.OK: "green", CheckStatus.WARN: "bold yellow", CheckStatus.FAIL: "bold red"}


def doctor(
    planned: Annotated[
        int | None,
        typer.Option("--planned", metavar="N", min=1, help="Also estimate the space that N memories will take."),
    ] = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Examines configuration, model, store and hot cache, and says what to do where something is wrong.

    Nothing is created or changed, and it works where the store or the model does not. Exits with 0 when nothing
    failed, 1 when something did, 3 when the store cannot be reached. A cache that does not answer is no failure.
    """
    from router_memory.wiring import assemble

    parts = assemble(config)
    findings = asyncio.run(parts.examine(planned=planned))
    if as_json:
        emit_json(_described(parts.config.file, parts.config.backend, findings))
    else:
        console().print(_view(parts.config.backend, findings))
    raise typer.Exit(_code(findings))


def _code(findings: Sequence[Finding]) -> int:
    from router_memory.cli.entry import FAILED, OK, UNAVAILABLE  # which brings the commands, this one too

    failed = {finding.name for finding in findings if finding.status is CheckStatus.FAIL}
    if REACHABLE in failed:
        return UNAVAILABLE
    return FAILED if failed else OK


def _worst(findings: Sequence[Finding]) -> CheckStatus:
    return max((finding.status for finding in findings), key=list(CheckStatus).index, default=CheckStatus.OK)


def _described(file: str, backend: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The same keys whatever was found."""
    return {
        "file": file,
        "backend": backend,
        "status": _worst(findings).value,
        "findings": [describe(finding) for finding in findings],
    }


def _view(backend: str, findings: Sequence[Finding]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    given: set[str] = set()
    for finding in findings:
        said = safe(finding.finding)
        if finding.advice:
            advice = "as above" if finding.advice in given else printable(finding.advice)
            said.append(f"\n→ {advice}", style=_STYLES[finding.status].removeprefix("bold "))
        given.add(finding.advice)
        table.add_row(Text(finding.status.value, style=_STYLES[finding.status]), safe(finding.name), said)
    return Group(table, Text(), _verdict(backend, findings))


def _verdict(backend: str, findings: Sequence[Finding]) -> Text:
    counts = Counter(finding.status for finding in findings)
    failed, warned = counts[CheckStatus.FAIL], counts[CheckStatus.WARN]
    looked = f"{backend}: {len(findings)} checks, "
    if not failed and not warned:
        return Text(f"{looked}all is well", style=_STYLES[CheckStatus.OK])
    parts = [f"{failed} failed"] * bool(failed) + [f"{warned} to look at"] * bool(warned)
    return Text(looked + ", ".join(parts), style=_STYLES[_worst(findings)])
