"""How likely level 2 has the answer: what a look prepares for."""

from __future__ import annotations

__all__ = ["Odds"]

_WEIGHT = 0.125
"""Of the latest look: some ten looks are remembered."""
_RARE = 0.05
"""An embedding takes more than ten times as long as a look, so that one begun beside it may be wasted on one hit in
twenty questions. One half of a hit lifts the share over it for two or three looks."""
_USUAL = 0.85
"""What only a miss needs makes a look a tenth to a third longer; without it a miss takes one round trip more."""
_MOMENT = 0.0005
"""Seconds. A look beside an embedding that has all processors makes it that much longer: the threads that share a
pass wait for the one that was interrupted."""
_HASTY = 32
"""Looks from one on that was waited for longer, before one is waited for again."""
_PROBED = 16
"""Where hits are rare, one look in so many asks for the vector, too."""


class Odds:
    """What the latest looks of this process were worth in the mean, and whether they are quick.

    Attributes:
        share: Worth in the mean, in [0, 1]; a half before the first look.
    """

    __slots__ = ("_hasty", "_looks", "share")

    def __init__(self) -> None:
        self.share = 0.5
        self._looks = 0
        self._hasty = 0

    def saw(self, worth: float) -> None:
        """Takes note of a look.

        Args:
            worth: 1 for an answer, a half for one of another state of the data or the vector alone, 0 for nothing.
        """
        self.share += _WEIGHT * (worth - self.share)
        self._looks += 1
        self._hasty = max(0, self._hasty - 1)

    def waited(self, seconds: float) -> None:
        """Takes note of how long a look was waited for when there was nothing else to do for the question.

        What else the process does meanwhile counts as well: a process with much to do embeds beside its looks.
        """
        if seconds > _MOMENT:
            self._hasty = _HASTY

    @property
    def rare(self) -> bool:
        """Whether hits are so rare that what a miss needs may be begun before it is one."""
        return self.share < _RARE

    @property
    def usual(self) -> bool:
        """Whether hits are so usual that nothing is to be prepared for a miss."""
        return self.share > _USUAL

    @property
    def quick(self) -> bool:
        """Whether looks are so quick that to wait for one costs less than to embed beside it."""
        return not self._hasty

    @property
    def vector(self) -> bool:
        """Whether the vector is worth asking for, or it is time to see whether it is."""
        return not self.rare or self._looks % _PROBED == 0
