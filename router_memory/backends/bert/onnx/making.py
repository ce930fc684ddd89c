"""Runs the export in a process of its own and reads what it left."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import asdict
from typing import TYPE_CHECKING

from router_memory.backends.bert.onnx.job import MADE, Job, Made
from router_memory.backends.bert.onnx.manifest import Facts
from router_memory.backends.bert.processes import run_module
from router_memory.backends.bert.runtimes import INT8
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from router_memory.backends.bert.source import Source

__all__ = ["make"]

_MODULE = "router_memory.backends.bert.onnx.job"
_HINT = "set embedding.runtime: torch"


def make(
    source: Source,
    runtime: str,
    target: Path,
    *,
    seconds: float,
    stop: threading.Event | None = None,
    fuse: bool = True,
) -> Made:
    """Exports a model into an empty folder, not verified yet. Blocks for seconds, or minutes for a large model.

    Args:
        source: The model.
        runtime: ``onnx`` or ``onnx-int8``.
        target: The folder.
        seconds: When it is given up.
        stop: Gives it up when set.
        fuse: As in `Job`.

    Raises:
        EmbeddingError: It cannot be exported, no process can be started, or it was stopped.
    """
    job = Job(
        directory=str(source.directory),
        target=str(target),
        int8=runtime == INT8,
        query_prefix=source.query_prefix,
        passage_prefix=source.passage_prefix,
        threads=source.threads,
        fuse=fuse,
    )
    try:
        done = run_module(_MODULE, asdict(job), seconds=seconds, stop=stop)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise EmbeddingError(f"the embedding model cannot be exported: {error}", hint=_HINT) from error
    if done.returncode:
        raise EmbeddingError(f"the embedding model cannot be exported: {_reason(done)}", hint=_HINT)
    try:
        left = json.loads((target / MADE).read_text(encoding="utf-8"))
        (target / MADE).unlink()
        if "error" in left:
            raise EmbeddingError(left["error"], hint=left["hint"] or _HINT)
        return Made(Facts.of(left["facts"]), tuple(left["tokens"]), left["made_with"], int(left["fused"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise EmbeddingError(f"the embedding model cannot be exported: its process left {error!r}") from error


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why the process ended, in one line: the signal, or the last thing it said."""
    if done.returncode < 0:
        return f"its process was ended by {_signal_name(-done.returncode)} (too little memory?)"
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"its process ended with {done.returncode}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
