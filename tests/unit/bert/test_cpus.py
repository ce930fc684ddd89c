"""CPUs a process may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert.cpus import available_cpus, model_threads, threads_of_each, wide_threads

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """An affinity mask of eight CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)


def _write(root: Path, **files: str) -> Path:
    """Files below a root; ``__`` stands for a slash."""
    for name, content in files.items():
        file = root.joinpath(*name.split("__"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("300000 100000", 3),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", 8),
        ("nonsense", 8),
        ("9000000 100000", 8),
    ],
)
def test_a_quota_caps_the_affinity_mask(tmp_path: Path, quota: str, cpus: int) -> None:
    """Rounded down, so that threads do not run into the throttle, and never below one."""
    _write(tmp_path / "sys" / "fs" / "cgroup", **{"cpu.max": quota})
    assert available_cpus(tmp_path) == cpus


def test_without_a_quota_the_affinity_mask_counts(tmp_path: Path) -> None:
    """Not the machine's number of CPUs."""
    assert available_cpus(tmp_path) == 8


@pytest.mark.parametrize(
    ("own", "above", "cpus"), [("200000", "500000", 2), ("max", "300000", 3), ("900000", "max", 8)]
)
def test_the_least_quota_of_the_process_s_group_and_those_above_counts(
    tmp_path: Path, own: str, above: str, cpus: int
) -> None:
    """A pod's limit stands above its containers'; the root of the hierarchy has no file."""
    _write(tmp_path, proc__self__cgroup="0::/kubepods/pod-a/container-b\n")
    groups = tmp_path / "sys" / "fs" / "cgroup" / "kubepods" / "pod-a"
    _write(groups, **{"cpu.max": f"{above} 100000", "container-b__cpu.max": f"{own} 100000"})
    assert available_cpus(tmp_path) == cpus


def test_a_path_of_the_machine_s_is_no_hindrance_in_a_container(tmp_path: Path) -> None:
    """Without a namespace of its own a container reads where its group is outside, and sees its own files alone."""
    _write(tmp_path, proc__self__cgroup="0::/docker/0123abcd\n")
    _write(tmp_path / "sys" / "fs" / "cgroup", **{"cpu.max": "150000 100000"})
    assert available_cpus(tmp_path) == 1


@pytest.mark.parametrize("hierarchy", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota", "cpus"), [("350000", 3), ("-1", 8)])
def test_version_1_has_quotas_too(tmp_path: Path, hierarchy: str, quota: str, cpus: int) -> None:
    """In files of their own, below the controller's name; −1 is none. Other controllers' paths do not matter."""
    _write(tmp_path, proc__self__cgroup="5:memory:/a\n4:cpu,cpuacct:/docker/c\n1:name=systemd:/b\n0::/d\n")
    group = tmp_path / "sys" / "fs" / "cgroup" / hierarchy / "docker" / "c"
    _write(group, **{"cpu.cfs_quota_us": f"{quota}\n", "cpu.cfs_period_us": "100000\n"})
    assert available_cpus(tmp_path) == cpus


def test_one_cpu_is_left_to_the_rest_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop, and whatever else runs."""
    monkeypatch.setattr("router_memory.backends.bert.cpus.available_cpus", lambda: 4)
    assert (model_threads(0), model_threads(4), model_threads(9)) == (3, 4, 9)
    monkeypatch.setattr("router_memory.backends.bert.cpus.available_cpus", lambda: 1)
    assert model_threads(0) == 1


@pytest.mark.parametrize(
    ("threads", "processes", "each"), [(0, 1, 0), (0, 2, 4), (0, 3, 2), (0, 64, 1), (3, 1, 3), (3, 4, 3)]
)
def test_several_processes_share_the_cpus_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, threads: int, processes: int, each: int
) -> None:
    """Each with a model of its own."""
    monkeypatch.setattr("router_memory.backends.bert.cpus.available_cpus", lambda: 8)
    assert threads_of_each(threads, processes) == each


def test_a_second_session_takes_all_cpus_up_to_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one CPU there is none."""
    found = []
    for cpus in (1, 2, 3, 4, 64):
        monkeypatch.setattr("router_memory.backends.bert.cpus.available_cpus", lambda cpus=cpus: cpus)
        found.append(wide_threads(0))
    assert found == [0, 2, 3, 4, 4]


def test_who_says_how_many_threads_gets_no_second_session() -> None:
    """Nor does one of several processes, which is always told its share."""
    assert [wide_threads(threads) for threads in (1, 2, 8)] == [0, 0, 0]
    assert wide_threads(threads_of_each(0, 2)) == 0
