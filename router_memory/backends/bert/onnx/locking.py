"""One process at a time."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["one_at_a_time"]

_PAUSE_SECONDS = 0.1


@contextmanager
def one_at_a_time(file: Path, *, patience: float, stop: threading.Event | None = None) -> Iterator[None]:
    """Waits until no other process is in here with the same file. Ends with its process, however that ends.

    Where the system or the file system has no locks nobody waits.

    Args:
        file: Is created, and stays.
        patience: The longest wait in seconds.
        stop: Ends the wait when set.

    Raises:
        EmbeddingError: The wait was too long or was stopped.
        OSError: The file cannot be opened.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    stopped = stop or threading.Event()
    until = time.monotonic() + patience
    with file.open("ab") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _wait(file, until, stopped)
            except OSError:  # a network file system without locks
                break
            else:
                break
        yield  # the lock ends with the stream


def _wait(file: Path, until: float, stopped: threading.Event) -> None:
    if time.monotonic() >= until:
        raise EmbeddingError(
            f"another process has been exporting the embedding model for too long; it holds {file}",
            hint="end that process, or set embedding.runtime: torch",
        )
    if stopped.wait(_PAUSE_SECONDS):
        raise EmbeddingError("the embedder was closed")
