"""The process: runs a command, turns whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, NoReturn

import typer

from router_memory.cli.app import Session, tree
from router_memory.cli.notices import Notices
from router_memory.cli.output import OutputClosed, one_line
from router_memory.cli.process import leave
from router_memory.errors import BackendUnavailable, ConfigError, InvalidRequest, RouterMemoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CLOSED", "FAILED", "INTERRUPTED", "OK", "UNAVAILABLE", "USAGE", "main", "run"]

OK = 0
FAILED = 1
USAGE = 2
"""The command line, the configuration or an argument is wrong."""
UNAVAILABLE = 3
"""The store cannot be reached or did not answer; trying again may help."""
INTERRUPTED = 130
CLOSED = 141
"""The reader of the output went away: 128 + SIGPIPE."""

PROGRAM = "router-memory"

# Typer's base of all errors in a command line; it has had more than one home.
_CommandLineError: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


def main() -> NoReturn:
    """Runs the command of this process's arguments and exits."""
    _complete_streams()
    logging.getLogger().addHandler(Notices())
    warnings.simplefilter("ignore")
    code = run(sys.argv[1:])
    if code == INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever presses Ctrl-C again while threads end is not shown them
    _flush()
    leave(code)


def run(arguments: Sequence[str]) -> int:
    """Runs one command. Prints at most one line on standard error when it fails.

    Args:
        arguments: Without the program's name.

    Returns:
        The exit code.
    """
    session = Session()
    try:
        first = next((each for each in arguments if not each.startswith("-")), None)
        result = typer.main.get_command(tree(first)).main(
            list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=session
        )
        sys.stdout.flush()
    except (OutputClosed, BrokenPipeError):
        return CLOSED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: nobody is shown a traceback unasked
        if session.debug:
            traceback.print_exc()
        message, code = _explain(error)
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{PROGRAM}: error: {one_line(message)}\n")
        return code
    return result if isinstance(result, int) else OK


def _explain(error: Exception) -> tuple[str, int]:
    """The message of an error and the exit code it means."""
    if isinstance(error, RouterMemoryError):
        return str(error), _code(error)
    if isinstance(error, _CommandLineError):
        return _usage(error), USAGE
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or type(error).__name__}{where}", FAILED
    text = f": {error}" if str(error) else ""
    return f"unexpected {type(error).__name__}{text} (run with --debug for the traceback, and please report it)", FAILED


def _code(error: RouterMemoryError) -> int:
    if isinstance(error, ConfigError | InvalidRequest):
        return USAGE
    return UNAVAILABLE if isinstance(error, BackendUnavailable) else FAILED


def _usage(error: Exception) -> str:
    """A command-line error as one sentence, with the help to look at."""
    describe = getattr(error, "format_message", error.__str__)
    message = one_line(describe()).removesuffix(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else PROGRAM
    return f"{message} (see {command} --help)"


def _complete_streams() -> None:
    """Gives the process the streams it was started without, as by ``2>&-``: nobody can write to Python's ``None``."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open until the end


def _flush() -> None:
    """Writes what is buffered; a stream that cannot take it is replaced, or Python would complain at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
