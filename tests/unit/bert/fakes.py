"""A model that encodes when it is told to, so that tests decide what happens while a batch runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert.splitting import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PATIENCE = 10.0  # seconds until a hanging test fails
DIMENSION = 2


def words(text: str) -> list[Part]:
    """Splits at ``|``; a token is a character."""
    return [Part(part, len(part)) for part in text.split("|")]


class Gate:
    """An encode function. While it is shut every batch waits at it.

    The vector of a part is ``(length, number of the batch)``. A part ``bad`` fails the batch it is in.
    """

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()
        self._open = threading.Event()
        self._open.set()
        self._arrived = threading.Semaphore(0)
        self._passes = threading.Semaphore(0)

    def shut(self) -> None:
        """The next batches wait for `let_one` or `open`."""
        self._open.clear()

    def open(self) -> None:
        """Lets everything through from now on."""
        self._open.set()
        self._passes.release()

    def let_one(self) -> None:
        """Lets one batch through."""
        self._passes.release()

    def wait_for_batch(self) -> None:
        """Blocks until another batch has arrived; call it off the loop."""
        if not self._arrived.acquire(timeout=PATIENCE):
            raise TimeoutError("no batch arrived")

    def __call__(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        self.batches.append([part.text for part in parts])
        self.threads.add(threading.current_thread().name)
        self._arrived.release()
        if not self._open.is_set() and not self._passes.acquire(timeout=PATIENCE):
            raise TimeoutError("the gate stayed shut")
        if any(part.text == "bad" for part in parts):
            raise ValueError("this text cannot be encoded")
        number = len(self.batches)
        return np.array([[part.tokens, number] for part in parts], dtype=np.float32)
