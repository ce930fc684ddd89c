"""CPUs a process may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert.cpus import available_cpus, threads_of_each

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """An affinity mask of eight CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("300000 100000", 3), ("250000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("nonsense", 8)],
)
def test_a_quota_caps_the_affinity_mask(tmp_path: Path, quota: str, cpus: int) -> None:
    """Rounded down, so that torch's threads do not run into the throttle, and never below one."""
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert available_cpus(file) == cpus


def test_without_a_quota_the_affinity_mask_counts(tmp_path: Path) -> None:
    """Not the machine's number of CPUs."""
    assert available_cpus(tmp_path / "absent") == 8


@pytest.mark.parametrize(
    ("threads", "processes", "each"), [(0, 1, 0), (0, 2, 4), (0, 3, 2), (0, 64, 1), (3, 1, 3), (3, 4, 3)]
)
def test_several_processes_share_the_cpus_unless_told_otherwise(threads: int, processes: int, each: int) -> None:
    assert threads_of_each(threads, processes) == each
