"""Waiting for the process that exports."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert.onnx import exports
from router_memory.backends.bert.onnx.locking import one_at_a_time
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from pathlib import Path


def test_one_after_another(tmp_path: Path) -> None:
    """Whoever waits gets in when the one before is out."""
    order = []

    def second() -> None:
        with one_at_a_time(tmp_path / "lock", patience=10):
            order.append("second")

    with one_at_a_time(tmp_path / "lock", patience=0):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_who_waited_too_long_does_not_go_in(tmp_path: Path) -> None:
    """Two exports at once would take the memory of both."""
    with (
        one_at_a_time(tmp_path / "lock", patience=0),
        pytest.raises(EmbeddingError, match="too long"),
        one_at_a_time(tmp_path / "lock", patience=0.05),
    ):
        pytest.fail("both are in")


def test_a_wait_can_be_stopped(tmp_path: Path) -> None:
    """By an embedder that is closed."""
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    with (
        one_at_a_time(tmp_path / "lock", patience=0),
        pytest.raises(EmbeddingError, match="closed"),
        one_at_a_time(tmp_path / "lock", patience=60, stop=stop),
    ):
        pytest.fail("both are in")
    assert time.monotonic() - began < 10


def test_others_wait_longer_than_an_export_may_take() -> None:
    """So that nobody gives up on an export that is about to be finished."""
    assert exports._PATIENCE_SECONDS > exports._EXPORT_SECONDS
