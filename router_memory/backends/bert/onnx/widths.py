"""Which of two sessions of one graph a pass takes: the one on few threads, or the one on many that spin.

Threads that spin wait for each other without sleeping. Where there is room for all of them a short text takes three
fifths of the time; on a machine that is full it takes more than twice as long, and the CPUs of others. Which of the
two it is cannot be asked for, but shows in what passes take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Pass", "Widths"]

_WEIGHTS = 0.125, 1 / 3
"""Of a new measurement in the mean of the session in use, if that is the narrow, and the wide one. The wide one may be
slow all of a sudden: two passes of twice the time have it left. The narrow one is what it is held against, and on a
busy machine many of its passes are interrupted."""
_OUTLIER = 2.0
"""A pass counts as at most so many times what was known: one that was interrupted says little of the next."""
_WORTH = 1.1
"""How many times faster the wide session must be, since it takes more of the CPUs for the same work."""
_FIRST_PATIENCE, _MOST_PATIENCE = 4, 128
"""Passes until the other session is tried again: so few at first; for the narrow one, which never takes much longer,
twice as many each time it was no better, at most so many."""
_ALLOWANCE = 0.02
"""What trying the wide session may cost: such a part of the time of the narrow passes between."""
_MOST_DEBT = 10.0
"""Times a narrow pass: as much is remembered of what wide passes have lost, so that the end of a load is noticed within
500 passes; and a wide session that has lost as much is left, even where few of its passes were slow."""
_MOST_CHARGE = 5.0
"""Times a narrow pass: one pass of a wide session in use loses at most so much by this account. A pause of the whole
process may fall into any pass, and would send the wide session away for 500."""


@dataclass(slots=True)
class _Bucket:
    """What is known of passes of about one size. Pairs are of the narrow and of the wide session.

    Attributes:
        wide: Whether the wide session is in use.
        seconds: What a pass takes; 0.0 for not known.
        debt: Seconds by which wide passes took longer than narrow ones would have, less what was allowed for that.
        patience: Passes until the narrow one is tried again while the wide one is in use.
        since: Passes since the one not in use was tried.
        gained: Seconds that wide passes have gained since the wide one was taken up. Where that is more than was lost
            in the end, that may have been an accident: the debt is forgotten, and the wide one tried again soon.
    """

    wide: bool = False
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    debt: float = 0.0
    patience: int = _FIRST_PATIENCE
    since: int = _FIRST_PATIENCE
    gained: float = 0.0

    def take(self) -> bool:
        """Whether the next pass is wide."""
        due = self.since >= (self.patience if self.wide else _FIRST_PATIENCE)
        if due and (self.wide or self.debt <= 0.0):
            self.since = 0
            return not self.wide
        self.since += 1
        return self.wide

    def observe(self, wide: bool, seconds: float) -> None:
        """Takes a pass into account. Of a session that was only tried nothing older counts: the load was another."""
        known, in_use, ruined = self.seconds[wide], wide == self.wide, False
        if narrow := self.seconds[0]:
            change = seconds - narrow if wide else -_ALLOWANCE * narrow
            charge = min(change, _MOST_CHARGE * narrow) if in_use else change
            self.debt = min(max(self.debt + charge, 0.0), _MOST_DEBT * narrow)
            self.gained -= change if wide and in_use else 0.0
            ruined = self.debt == _MOST_DEBT * narrow
        if known and seconds > _OUTLIER * known:
            seconds = _OUTLIER * known
        self.seconds[wide] = known + _WEIGHTS[wide] * (seconds - known) if known and in_use else seconds
        narrow_takes, wide_takes = self.seconds
        if not narrow_takes or not wide_takes:
            return
        in_favour = not ruined if self.wide else not self.debt
        faster = in_favour and wide_takes * _WORTH < narrow_takes
        if faster != self.wide:
            if self.gained > 0.0:
                self.debt = 0.0
            self.wide = faster
            self.since, self.gained, self.patience = 0, 0.0, _FIRST_PATIENCE
        elif not in_use and not wide:
            self.patience = min(2 * self.patience, _MOST_PATIENCE)


class Pass(NamedTuple):
    """A pass under way.

    Attributes:
        wide: Whether it takes the wide session.
        bucket: Its size to a power of two.
        started: Seconds, by the clock of `Widths`.
    """

    wide: bool
    bucket: int
    started: float


class Widths:
    """Chooses, by what passes of about the same size have lately taken. For any number of threads.

    Neither session is known at first, so each is tried once; a new size begins as the nearest one that is known.
    A pass that another one ran beside is narrow if it came second, and says nothing of either session.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[int, _Bucket] = {}
        self._under_way = 0
        self._crowded = False

    def begin(self, size: int, *, choose: bool) -> Pass:
        """To be called before a pass; `end` has to follow.

        Args:
            size: Its sequences times the length of the longest, ≥ 1.
            choose: Whether there is a wide session.
        """
        number = size.bit_length()
        with self._lock:
            self._under_way += 1
            self._crowded = self._under_way > 1
            wide = choose and not self._crowded and (self._buckets.get(number) or self._new(number)).take()
        return Pass(wide, number, self._clock())

    def end(self, ended: Pass, *, observe: bool) -> None:
        """To be called after a pass.

        Args:
            ended: What `begin` gave.
            observe: Whether it counts: not before there is a choice, nor when it failed.
        """
        seconds = self._clock() - ended.started
        with self._lock:
            self._under_way -= 1
            if observe and not self._crowded:
                self._buckets[ended.bucket].observe(ended.wide, seconds)

    def _new(self, number: int) -> _Bucket:
        found = self._buckets[number] = self._like_the_nearest(number)
        return found

    def _like_the_nearest(self, number: int) -> _Bucket:
        known = [other for other in self._buckets if all(self._buckets[other].seconds)]
        if not known:
            return _Bucket()
        nearest = self._buckets[min(known, key=lambda other: (abs(other - number), other))]
        # The wide one may be slow for a while: it keeps its distance. The narrow one is measured at once.
        since = _MOST_PATIENCE if nearest.wide else 0
        return _Bucket(nearest.wide, debt=nearest.debt, since=since)
