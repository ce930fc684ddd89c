"""What has happened in the last minute, out of looks at metrics that only grow. Pure."""

from __future__ import annotations

from router_memory.interfaces.http.operations.figures import Figures

__all__ = ["WINDOW_SECONDS", "Looks"]

WINDOW_SECONDS = 60.0
"""What latencies are of."""
_STEP_SECONDS = 1.0
_OLDEST_SECONDS = 2 * WINDOW_SECONDS
"""A look that is older says nothing of the last minute; what polls every minute is still served."""


class Looks:
    """What one process has seen of the metrics lately."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, Figures]] = []

    def recent(self, figures: Figures, *, now: float, up_seconds: float | None) -> Figures:
        """What was added since the look about `WINDOW_SECONDS` ago, or since the first one after; notes this look.

        Nothing where nobody looked in that time: what was added since an older look may be of hours ago.

        Args:
            figures: This look.
            now: Seconds of a clock that only goes forward.
            up_seconds: Age of the service, which began with empty metrics; ``None`` where that is not known.
        """
        if not self._seen and up_seconds is not None:
            self._seen.append((now - up_seconds, Figures(b"")))
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.pop(0)
        if self._seen and self._seen[0][0] < now - _OLDEST_SECONDS:
            self._seen.pop(0)
        if not self._seen or now - self._seen[-1][0] >= _STEP_SECONDS:
            self._seen.append((now, figures))
        return figures.since(self._seen[0][1])
