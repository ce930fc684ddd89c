"""`demo`: shows on a conversation what memory does to requests."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from router_memory.cli import options as opt
from router_memory.cli.output import console, emit_json
from router_memory.plugin.describe import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router_memory.demo.run import Watch

__all__ = ["demo"]


def demo(
    conversation: opt.Conversations = None,
    questions: opt.Questions = 3,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Replays conversations and shows which memories are injected, and why.

    Everything is stored in a temporary place and deleted at the end; no store of yours is touched.
    """
    from router_memory.cli.demo_view import view
    from router_memory.demo import run_demo

    with _progress() as watch:
        report = asyncio.run(run_demo(conversation=conversation, config=config, questions=questions, watch=watch))
    if as_json:
        emit_json(describe(report))
    else:
        console().print(view(report))


@contextmanager
def _progress() -> Iterator[Watch]:
    """A progress bar on standard error that is gone when the work is done; nothing where no terminal shows it."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def watch(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total or None)

        yield watch
