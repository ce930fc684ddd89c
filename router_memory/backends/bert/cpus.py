"""How many CPUs this process may use: affinity and the container's quota, not the machine's count."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CGROUP_QUOTA", "available_cpus", "model_threads", "threads_of_each"]

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


def threads_of_each(threads: int, processes: int) -> int:
    """The setting for one of several processes with a model each, which are not to get into each other's way.

    Args:
        threads: As configured, for each process; 0 takes its share of the CPUs where there is more than one.
        processes: How many there are, ≥ 1.
    """
    return threads if threads or processes == 1 else max(1, available_cpus() // processes)
