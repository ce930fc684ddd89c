"""How many CPUs this process may use: affinity and the container's quota, not the machine's count."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CGROUP_QUOTA", "available_cpus", "model_threads"]

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2, as seen inside a container


def available_cpus(quota_file: Path = CGROUP_QUOTA) -> int:
    """The CPUs in the process's affinity mask, at most its cgroup quota rounded down, at least 1.

    Args:
        quota_file: A cgroup v2 ``cpu.max`` file, ``"<quota|max> <period>"`` in microseconds; one that is
            absent or unreadable sets no limit.
    """
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has affinity masks
        cpus = os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()[:2]
        cpus = min(cpus, int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or "max"
        pass
    return max(1, cpus)


def model_threads(threads: int) -> int:
    """How many threads a model computes on, ≥ 1.

    Args:
        threads: As configured. 0 takes one less than the CPUs this process may use: torch's threads spin while they
            wait for each other, so taking every CPU makes an embedding many times slower as soon as anything else runs.
    """
    return threads or max(1, available_cpus() - 1)
