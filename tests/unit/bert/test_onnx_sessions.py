"""A narrow session at once, a wide one in a while, and vectors whatever becomes of that."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from router_memory.backends.bert.onnx.sessions import Sessions, wait_for_wide
from router_memory.backends.bert.onnx.widths import Widths
from tests.unit.bert.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

TEXT = {"input_ids": np.ones((1, 12), dtype=np.int64)}
PROBE = {"input_ids": np.ones((1, 3), dtype=np.int64)}
PASSES = 8


class Time:
    """A clock that fake sessions move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A session whose vectors are ones, which takes so long for a pass."""

    def __init__(self, clock: Time, takes: float, *, error: float = 0.0) -> None:
        self.passes = 0
        self.broken = False
        self._clock, self._takes, self._error = clock, takes, error

    def run(self, _names: None, features: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """The passes that are not of the probe count."""
        if self.broken:
            raise RuntimeError("text of a user")
        shape = features["input_ids"].shape
        if shape != PROBE["input_ids"].shape:
            self.passes += 1
            self._clock.now += self._takes
        return [np.full((shape[0], 2), 1.0 + self._error, dtype=np.float32)]


class Pair:
    """Both sessions, where the wide one is the faster."""

    def __init__(self, **wide: Any) -> None:
        clock = Time()
        self.narrow, self.wide = Fake(clock, 3.7), Fake(clock, 2.2, **wide)
        self.opened = 0
        self.sessions = Sessions(cast("InferenceSession", self.narrow), Widths(clock))

    def open(self) -> InferenceSession:
        """The wide one."""
        self.opened += 1
        return cast("InferenceSession", self.wide)

    def run(self, passes: int) -> None:
        """Makes passes, and waits for what they have started."""
        for _ in range(passes):
            assert self.sessions.run(TEXT).shape == (1, 2)
            wait_for_wide()

    def widen(self, open_wide: Callable[[], InferenceSession] | None = None) -> None:
        """Has the wide one opened in a while."""
        self.sessions.widen(open_wide or self.open, PROBE, passes=PASSES)


def test_a_session_that_nobody_widens_stays_alone() -> None:
    """As with a number of threads in the configuration, or one CPU."""
    pair = Pair()
    pair.run(30)
    assert (pair.narrow.passes, pair.opened, pair.sessions.widened) == (30, 0, False)


def test_the_wide_session_is_opened_after_a_few_passes_and_once() -> None:
    """A command that embeds one text never opens it."""
    pair = Pair()
    pair.widen()
    pair.run(PASSES - 1)
    assert pair.opened == 0
    pair.run(50)
    assert pair.opened == 1
    assert pair.wide.passes > 40


def test_passes_go_on_while_it_is_opened() -> None:
    """On the narrow session."""
    pair, leave = Pair(), threading.Event()

    def open_slowly() -> InferenceSession:
        if not leave.wait(PATIENCE):
            raise TimeoutError
        return pair.open()

    pair.widen(open_slowly)
    for _ in range(30):
        pair.sessions.run(TEXT)
    assert (pair.narrow.passes, pair.sessions.widened) == (30, False)
    leave.set()
    wait_for_wide()
    assert pair.sessions.widened


def test_one_that_cannot_be_opened_is_said_once_and_done_without(caplog: pytest.LogCaptureFixture) -> None:
    """The narrow one is all that is needed."""
    pair = Pair()

    def fail() -> InferenceSession:
        raise OSError("no such file")

    pair.widen(fail)
    with caplog.at_level(logging.WARNING, "router_memory.bert"):
        pair.run(50)
    assert pair.narrow.passes == 50
    assert [record.getMessage() for record in caplog.records] == [
        "the embedding model runs on its usual threads alone: OSError: no such file"
    ]


def test_where_no_thread_can_be_started_the_narrow_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As while the interpreter ends."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pair = Pair()
    pair.widen()
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "router_memory.bert"):
        patch.setattr(threading.Thread, "start", refuse)
        pair.run(PASSES)
    pair.run(10)
    assert (pair.narrow.passes, pair.opened, len(caplog.records)) == (PASSES + 10, 0, 1)


@pytest.mark.parametrize("error", [1e-4, float("nan")])
def test_one_with_other_vectors_is_not_used(error: float, caplog: pytest.LogCaptureFixture) -> None:
    """Of another file, say, that was put in the place of the first."""
    pair = Pair(error=error)
    pair.widen()
    with caplog.at_level(logging.WARNING, "router_memory.bert"):
        pair.run(50)
    assert (pair.wide.passes, pair.sessions.widened, len(caplog.records)) == (0, False, 1)


def test_one_that_fails_is_left_for_good_and_the_text_is_embedded(caplog: pytest.LogCaptureFixture) -> None:
    """What it raised may hold what a user said, so its kind alone is logged."""
    pair = Pair()
    pair.widen()
    pair.run(30)
    pair.wide.broken = True
    with caplog.at_level(logging.WARNING, "router_memory.bert"):
        pair.run(30)
    assert not pair.sessions.widened
    assert [record.getMessage() for record in caplog.records] == [
        "the embedding model runs on its usual threads alone: a pass failed: RuntimeError"
    ]


def test_inputs_that_neither_takes_cost_no_session() -> None:
    """The error is the caller's."""
    pair = Pair()
    pair.widen()
    pair.run(30)
    pair.wide.broken = pair.narrow.broken = True
    with pytest.raises(RuntimeError):
        pair.sessions.run(TEXT)
    pair.wide.broken = pair.narrow.broken = False
    before = pair.wide.passes
    pair.run(10)
    assert pair.wide.passes > before
