"""Runs a module of ours in a process of its own, which ends with this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from router_memory.errors import EmbeddingError

__all__ = ["end_with_parent", "run_module"]

_POLL_SECONDS = 0.1
_INTERPRETERS = ("python", "pypy", "graalpy")


def run_module(
    module: str, job: dict[str, Any], *, seconds: float, stop: threading.Event | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m module JOB`` and waits for its end. It finds the packages that this process finds.

    Its standard input is a pipe that ends with this process; the module calls `end_with_parent` to notice.

    Args:
        module: Its full name.
        job: Its one argument, as JSON.
        seconds: When it is ended.
        stop: Ends it when set.

    Raises:
        EmbeddingError: It was stopped, or this program is not run by a Python interpreter that could run another.
        OSError, ValueError, subprocess.TimeoutExpired: No process could be started, or it took too long.
    """
    command = [_interpreter(), "-P", "-m", module, json.dumps(job)]
    theirs, ours = os.pipe()
    try:
        with subprocess.Popen(  # noqa: S603 - our own module, by the interpreter that runs this
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            try:
                out, err = _waited(process, time.monotonic() + seconds, seconds, stop)
            except BaseException:
                process.kill()
                raise
    finally:
        os.close(theirs)
        os.close(ours)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _waited(
    process: subprocess.Popen[str], until: float, seconds: float, stop: threading.Event | None
) -> tuple[str, str]:
    """What it wrote, once it has ended."""
    while True:
        try:
            return process.communicate(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if stop is not None and stop.is_set():
                raise EmbeddingError("the embedder was closed") from None
            if time.monotonic() >= until:
                raise subprocess.TimeoutExpired(process.args, seconds) from None


def _interpreter() -> str:
    """The Python that runs this."""
    found = sys.executable or ""
    if getattr(sys, "frozen", False) or not any(name in Path(found).name.lower() for name in _INTERPRETERS):
        raise EmbeddingError(
            f"no process can be started: {found or 'this program'} is not a Python interpreter",
            hint="run `router-memory model export` with the same embedding.cache_dir beforehand",
        )
    return found


def end_with_parent() -> None:
    """Has this process, started by `run_module`, end at once when the one that started it has ended."""
    threading.Thread(target=_watch, name="router-memory-parent", daemon=True).start()


def _watch() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be in the way of the interpreter's end
        pass
    os._exit(1)
