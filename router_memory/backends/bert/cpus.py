"""How many CPUs this process may use: affinity and the container's quota, not the machine's count.

Linux's documentation of control groups says where quotas are: cgroup-v2 (``cpu.max``), and sched-bwc for version 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["available_cpus", "model_threads", "threads_of_each", "wide_threads"]

_MEMBERSHIP = "proc/self/cgroup"
_MOUNT = "sys/fs/cgroup"
_MOST_WIDE = 4
"""A short text has not more to share out than that; every further thread only waits."""
_ONE_CPU = "cpu"  # version 1's controller, which is mounted beside others or under their joined names


def available_cpus(root: Path = Path("/")) -> int:
    """The CPUs in the process's affinity mask, at most its cgroup's quota rounded down, at least 1.

    A cpuset is part of the affinity mask. Quotas hold for a group and all below it, so the least of the process's group
    and those above counts. What is absent or unreadable sets no limit.

    Args:
        root: Where ``/proc`` and ``/sys`` are.
    """
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has affinity masks
        cpus = os.cpu_count() or 1
    return max(1, min([cpus, *(int(quota) for quota in _quotas(root))]))


def model_threads(threads: int) -> int:
    """How many threads a model computes on, ≥ 1.

    Args:
        threads: As configured. 0 takes one less than the CPUs this process may use: torch's threads spin while they
            wait for each other, so taking every CPU makes an embedding many times slower as soon as anything else runs.
            onnxruntime's do not spin here, and then the last CPU gains little for one short text and takes more of its
            time; for threads that do see `wide_threads`.
    """
    return threads or max(1, available_cpus() - 1)


def wide_threads(threads: int) -> int:
    """How many threads a second session of an onnxruntime model computes on, which spin; 0 for no such session.

    Args:
        threads: As configured. 0 takes the CPUs this process may use, at most four, where there are two or more.
            Who says a number gets just that many threads, which do not spin.
    """
    cpus = min(available_cpus(), _MOST_WIDE)
    return 0 if threads or cpus == 1 else cpus


def threads_of_each(threads: int, processes: int) -> int:
    """The setting for one of several processes with a model each, which are not to get into each other's way.

    Args:
        threads: As configured, for each process; 0 takes its share of the CPUs where there is more than one.
        processes: How many there are, ≥ 1.
    """
    return threads if threads or processes == 1 else max(1, available_cpus() // processes)


def _quotas(root: Path) -> Iterator[float]:
    """CPUs that the groups of this process may use, of those that have a limit."""
    for folder in _folders(root):
        for read in (_quota_of_version_2, _quota_of_version_1):
            try:
                quota, period = read(folder)
                if quota > 0 and period > 0:
                    yield quota / period
            except (OSError, ValueError):  # no such file, or "max"
                continue


def _folders(root: Path) -> Iterator[Path]:
    """The process's groups, each with all those above it.

    Where a container sees the path of its group on the machine but only its own group's files, those lie at the root.
    """
    mount = root / _MOUNT
    try:
        lines = (root / _MEMBERSHIP).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and _ONE_CPU not in controllers.split(","):
            continue
        names = [name for name in PurePosixPath(path).parts if name not in ("/", "..")]
        for hierarchy in dict.fromkeys((controllers, _ONE_CPU)) if controllers else ("", "unified"):
            yield from (Path(mount, hierarchy, *names[:depth]) for depth in range(len(names), -1, -1))


def _quota_of_version_2(folder: Path) -> tuple[int, int]:
    """Microseconds of processor time in each period of so many."""
    quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()[:2]
    return int(quota), int(period)


def _quota_of_version_1(folder: Path) -> tuple[int, int]:
    """The same; −1 is no limit."""
    quota, period = ((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
    return int(quota), int(period)
