"""Tests that count time run while no other test of the run does, however many workers share the tests.

They are marked `alone` and come first, so that the others wait for them once. Those that load the embedding model come
next and stay together, so that one worker loads it for nearly all of them. Without workers nothing changes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]


class _Turns:
    """Who may run: many tests of the common kind, or one that is alone. The kernel ends the turn of a dead worker.

    Args:
        folder: One that the workers of a run share.
    """

    def __init__(self, folder: Path) -> None:
        self._gate, self._floor = (
            os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC) for name in ("gate", "floor")
        )
        self._stays = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Waits for the test's turn; one that is alone hands it on to the next of its kind."""
        if not self._stays:
            fcntl.flock(self._gate, fcntl.LOCK_EX)  # whoever waits for the floor lets nobody pass
            fcntl.flock(self._floor, fcntl.LOCK_EX if _alone(item) else fcntl.LOCK_SH)
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            self._stays = nextitem is not None and _alone(item) and _alone(nextitem)
            if not self._stays:
                fcntl.flock(self._floor, fcntl.LOCK_UN)


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    """Has the workers of a run take turns."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(_Turns(Path(config.option.basetemp).parent), "turns")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts those that run alone first, then those with the model; the order is the same in all workers."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (not _alone(item), item.get_closest_marker("model") is None))
