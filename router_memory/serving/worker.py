"""The process of one worker: ``python -m router_memory.serving.worker``, started by the parent and by nobody else."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

__all__ = ["leave", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until the parent says otherwise, or is gone. Returns the exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent's matter, as is Ctrl-C
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="router_memory.serving.worker")
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--listen", required=True)
    told = parser.parse_args(arguments)
    control = socket.socket(fileno=told.control)
    listeners = [socket.socket(fileno=int(number)) for number in told.listen.split(",")]
    for each in (control, *listeners):
        each.set_inheritable(False)  # what this process starts must not keep the address

    from router_memory.serving.life import Life, event_loop

    with asyncio.Runner(loop_factory=event_loop) as runner:
        return runner.run(Life(told.index, listeners).run(control))


def leave(code: int) -> NoReturn:
    """Ends the process without tidying up: what has to be is closed, and no library's threads are waited for."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
