"""How long to wait before a worker is started anew, and when to stop trying. Pure."""

from __future__ import annotations

__all__ = ["FIRST_SECONDS", "LONGEST_SECONDS", "SOUND_SECONDS", "TRIES", "Backoff"]

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
SOUND_SECONDS = 60.0
"""A worker that served this long was sound: the next start follows at once."""
TRIES = 5
"""Starts in a row that may fail before a service without any worker gives up."""


class Backoff:
    """Pauses that double with every end that came soon.

    Attributes:
        failures: Starts in a row that came to nothing.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._soon = 0

    def pause(self, served: float | None) -> float:
        """Seconds to wait after a worker ended.

        Args:
            served: For how many seconds it had served; ``None`` for one that never did.
        """
        self.failures = self.failures + 1 if served is None else 0
        self._soon = 0 if served is not None and served >= SOUND_SECONDS else self._soon + 1
        return min(FIRST_SECONDS * 2 ** max(self._soon - 1, 0), LONGEST_SECONDS) if self._soon else 0.0
