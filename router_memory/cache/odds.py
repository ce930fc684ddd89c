"""How likely level 2 has the answer: what a look prepares for."""

from __future__ import annotations

__all__ = ["Odds"]

_WEIGHT = 0.125
"""Of the latest look: some ten looks are remembered."""
_RARE = 0.05
"""An embedding takes more than ten times as long as a look, so one begun beside it may be wasted on one look in twenty
at most."""
_USUAL = 0.85
"""What only a miss needs makes a look a tenth to a third longer; without it a miss takes one round trip more."""


class Odds:
    """What the latest looks of this process were worth in the mean, in [0, 1]; a half before the first one."""

    __slots__ = ("share",)

    def __init__(self) -> None:
        self.share = 0.5

    def saw(self, worth: float) -> None:
        """Takes note of a look.

        Args:
            worth: 1 for an answer, a half for the vector alone, 0 for neither.
        """
        self.share += _WEIGHT * (worth - self.share)

    @property
    def rare(self) -> bool:
        """Whether hits are so rare that what a miss needs may be begun at any cost."""
        return self.share < _RARE

    @property
    def usual(self) -> bool:
        """Whether hits are so usual that nothing is to be prepared for a miss."""
        return self.share > _USUAL
