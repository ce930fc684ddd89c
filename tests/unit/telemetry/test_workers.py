"""Several processes, one exposition."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from router_memory.telemetry import Telemetry, counted_timeline, empty_folder, mark_process_dead
from tests.unit.telemetry.reading import injected, value_of

WORKER = """
import sys
from pathlib import Path
from router_memory.telemetry import Telemetry
from tests.unit.telemetry.reading import injected
telemetry = Telemetry(folder=Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    telemetry.request(injected(), interface="chat")
telemetry.begin(method="GET")
print("ready", flush=True)
sys.stdin.read()
"""
LABELS = {"interface": "chat", "decision": "support", "status": "used", "reason": "injected"}


class Worker:
    """A process that reported some requests, and then waits."""

    def __init__(self, folder: Path, requests: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), str(requests)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def die(self) -> None:
        self._process.kill()
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self.die()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "metrics"
    empty_folder(folder)
    return folder


@pytest.fixture
def workers(folder: Path) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(folder, requests)) for requests in (3, 4, 5)]
        for worker in workers:
            worker.wait_until_ready()
        yield workers


def test_any_worker_tells_of_all_and_the_dead_keep_their_counts_and_lose_their_gauges(
    folder: Path, workers: list[Worker]
) -> None:
    telemetry = Telemetry(folder=folder)
    telemetry.request(injected(), interface="chat")

    def told() -> tuple[float | None, ...]:
        return (
            value_of(telemetry, "llm_memory_requests_total", **LABELS),
            value_of(telemetry, "llm_memory_stage_seconds_count", stage="embed"),
            value_of(telemetry, "llm_memory_http_requests_in_flight"),
        )

    assert told() == (13, 13, 3)
    for alive, worker in zip((2, 1, 0), workers, strict=True):
        worker.die()
        mark_process_dead(folder, worker.pid)
        assert told() == (13, 13, alive)
    left = {path.name for path in folder.glob("*_0.db")}
    assert left == {"counter_0.db", "histogram_0.db"}
    assert not [path for path in folder.iterdir() if any(str(worker.pid) in path.name for worker in workers)]


def test_a_file_that_cannot_be_read_is_taken_away_with_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = Telemetry(folder=folder)
    telemetry.request(injected(), interface="chat")
    for kind in ("counter", "histogram"):
        (folder / f"{kind}_17.db").write_bytes(b"\xff\x00\x00\x7f" + b"\xff" * 100)

    mark_process_dead(folder, 17)

    assert not list(folder.glob("*_17.db"))
    assert "process 17" in caplog.text
    assert value_of(telemetry, "llm_memory_requests_total", **LABELS) == 1


@pytest.mark.parametrize("beginning", [b"", bytes(1 << 16)], ids=["empty", "room made"])
def test_a_worker_that_begins_keeps_nobody_from_reading(
    folder: Path, caplog: pytest.LogCaptureFixture, beginning: bytes
) -> None:
    """Its files are there before anything is in them; one that dies then has counted nothing that could be lost."""
    telemetry = Telemetry(folder=folder)
    telemetry.request(injected(), interface="chat")
    for kind in ("counter", "histogram", "gauge_livesum"):
        (folder / f"{kind}_17.db").write_bytes(beginning)

    assert value_of(telemetry, "llm_memory_requests_total", **LABELS) == 1
    mark_process_dead(folder, 17)
    assert value_of(telemetry, "llm_memory_requests_total", **LABELS) == 1
    assert [caplog.text, list(folder.glob("*_17.db"))] == ["", []]


def test_a_process_that_never_counted_can_be_dead_too(folder: Path) -> None:
    mark_process_dead(folder, 17)

    assert not list(folder.glob("*.db"))


def test_an_earlier_run_leaves_nothing(folder: Path) -> None:
    (folder / "counter_17.db").write_bytes(b"old")

    empty_folder(folder)

    assert not list(folder.glob("*.db"))


def test_one_of_each_kind_lives_in_a_process(folder: Path) -> None:
    shared, alone = Telemetry(folder=folder), Telemetry()
    shared.request(injected(), interface="chat")
    alone.request(injected(decision="other one"), interface="chat")
    alone.request(injected(), interface="chat")

    assert value_of(shared, "llm_memory_requests_total", **LABELS) == 1
    assert value_of(shared, "llm_memory_request_seconds_count", decision="other one") is None
    assert value_of(alone, "llm_memory_requests_total", **LABELS) == 1


def test_events_of_the_parent_are_among_the_metrics_of_the_workers(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from router_memory.telemetry import counted_timeline; "
        "counted_timeline(Path(sys.argv[1])).note('worker_died', pid=17)"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True)
    counted_timeline(folder).note("worker_died", pid=18)

    assert value_of(Telemetry(folder=folder), "llm_memory_events_total", kind="worker_died") == 2
