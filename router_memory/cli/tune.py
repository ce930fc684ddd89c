"""`tune`: what every threshold would inject for a decision, and the YAML of the trade-off that is wanted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from router_memory.cli import options as opt
from router_memory.cli.output import console, emit_json, note, printable
from router_memory.cli.progress import progress
from router_memory.errors import RouterMemoryError
from router_memory.plugin.describe import describe

__all__ = ["tune"]


def tune(
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE", help="Questions: labelled conversations, or traffic; JSON Lines.")
    ],
    decision: Annotated[str, typer.Option("--decision", metavar="NAME", help="Whose policy is tuned.")],
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            metavar="GOAL",
            help="What to choose by: f1, balanced, precision=SHARE, recall=SHARE or tokens=N. "
            "Precision is of what questions with an answer get.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="Most memories of a request; without it, the decision's."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", help="Take at most N questions, drawn at random.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="What --sample draws by.")] = 0,
    ask_others: Annotated[
        bool,
        typer.Option(
            "--ask-others",
            metavar="",
            help="Of traffic: also ask the next user's memory of the project each query, to estimate false injections.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Also draw the figures into this PNG file; needs matplotlib."),
    ] = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Shows what every threshold would inject for a decision, and prints the YAML of the best trade-off.

    Conversations are loaded into a temporary store; traffic is asked of the configured one, which is only read.
    """
    from router_memory.cli.tune_plot import check_plot, draw
    from router_memory.cli.tune_view import view
    from router_memory.tuning import run_tune
    from router_memory.tuning.run import Options

    if plot is not None:
        check_plot(plot)  # before minutes of work
    options = Options(objective=objective, limit=limit, sample=sample, seed=seed, ask_others=ask_others)
    with progress() as watch:
        report = asyncio.run(run_tune(data, decision, config=config, options=options, watch=watch))
    if plot is not None:
        draw(report, plot)
        note(f"drawn into {plot}")
    if as_json:
        emit_json(describe(report))
    else:
        console().print(view(report))
        if report.yaml:  # not wrapped, so that it can be copied
            console().print(Text("\n" + printable(report.yaml)), soft_wrap=True, end="")
    if report.objective and report.unmet:
        raise RouterMemoryError(report.unmet)
