"""The first and the last moment of the program's process, which are a fifth of a short command's time."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from typing import NoReturn

__all__ = ["begin", "leave"]

_OBJECTS_LOADED = 400_000
"""Four times what a search over onnxruntime has made at its end; half of what one over torch has."""
_USUAL = gc.get_threshold()

_left_with: int | None = None
"""The exit code of a command that ended as it should."""


def begin() -> None:
    """To be called before anything else is imported.

    The first collection of garbage is put off until so many objects are there that the command has begun its work:
    loading modules makes a hundred thousand that stay, which the collector would go through again and again.
    """
    gc.set_threshold(_OBJECTS_LOADED, *gc.get_threshold()[1:])
    gc.callbacks.append(_collected)
    # What is registered first is called last. Where something was registered before, such as the last delivery of a
    # tracer that instruments programs from outside, the process ends as Python ends it.
    if getattr(atexit, "_ncallbacks", lambda: 1)() == 0:
        atexit.register(_end)


def _collected(phase: str, _info: dict[str, int]) -> None:
    """After the first collection garbage is collected as usual, but for what was loaded until then."""
    if phase == "stop":
        gc.callbacks.remove(_collected)
        gc.freeze()
        gc.set_threshold(*_USUAL)


def leave(code: int) -> NoReturn:
    """Ends the process with an exit code, once threads have ended and everything registered with `atexit` is done."""
    global _left_with
    _left_with = code
    sys.exit(code)


def _end() -> None:
    """Leaves out the rest of the interpreter's end: taking thousands of modules apart, only for their memory.

    Nothing is left to be done there, as commands close what they open. Not after an error nobody expected, and not
    where a debugger or a measurement looks on.
    """
    if _left_with is None or sys.gettrace() is not None or sys.getprofile() is not None:
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # flushed before; closed, or there is none
            stream.flush()
    os._exit(_left_with)
