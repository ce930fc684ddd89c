"""A circuit breaker: keeps a server that does not answer off the path of requests."""

from __future__ import annotations

from time import monotonic

__all__ = ["Breaker"]

_FAILURES = 3
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0


class Breaker:
    """Opens after some failures in a row. While it is open somebody may try from time to time, on nobody's path.

    Args:
        failures: How many failures in a row open it, ≥ 1.
    """

    def __init__(self, failures: int = _FAILURES) -> None:
        self._most = failures
        self._failures = 0
        self._pause = _FIRST_PAUSE_SECONDS
        self._again_at = 0.0

    @property
    def closed(self) -> bool:
        """Whether calls may be made."""
        return self._failures < self._most

    def is_due(self) -> bool:
        """Whether a call should be made to see how things are; true once for each pause of an open breaker."""
        if self.closed or monotonic() < self._again_at:
            return False
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        self._again_at = monotonic() + self._pause
        return True

    def succeeded(self) -> bool:
        """Takes note of an answer. Whether it has closed the breaker."""
        reopened = not self.closed
        self._failures = 0
        if reopened:
            self._pause = max(_FIRST_PAUSE_SECONDS, self._pause / 2)  # one that opens again soon stays open longer
        return reopened

    def failed(self) -> bool:
        """Takes note of a failure. Whether it has opened the breaker."""
        if not self.closed:  # a call that began before
            return False
        self._failures += 1
        if self._failures < self._most:
            return False
        self._again_at = monotonic() + self._pause
        return True
