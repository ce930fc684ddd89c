"""`demo`: shows on a conversation what memory does to requests."""

from __future__ import annotations

import asyncio

from router_memory.cli import options as opt
from router_memory.cli.output import console, emit_json
from router_memory.cli.progress import progress
from router_memory.plugin.describe import describe

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

    with progress() as watch:
        report = asyncio.run(run_demo(conversation=conversation, config=config, questions=questions, watch=watch))
    if as_json:
        emit_json(describe(report))
    else:
        console().print(view(report))
