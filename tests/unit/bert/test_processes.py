"""Modules of ours in processes of their own."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert.processes import run_module
from router_memory.errors import EmbeddingError
from tests.unit.bert.fakes import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

SLEEPER = """
import fcntl, json, sys, time
from pathlib import Path
from router_memory.backends.bert.processes import end_with_parent
end_with_parent()
held = open(json.loads(sys.argv[1])["lock"], "w")
fcntl.flock(held, fcntl.LOCK_EX)
Path(held.name + ".held").touch()
time.sleep(60)
"""


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The job of a module ``sleeper`` that holds a lock for a minute."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return {"lock": str(tmp_path / "lock")}


def _wait_for(file: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < until, f"there is no {file.name}"
        time.sleep(0.02)


def _is_free(lock: Path) -> bool:
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_what_a_module_writes_and_returns_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets its job, and finds what is on this process's path."""
    (tmp_path / "echo.py").write_text("import sys; print(sys.argv[1]); print('x' * 200_000, file=sys.stderr); exit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = run_module("echo", {"a": 1}, seconds=PATIENCE)
    assert (done.stdout, len(done.stderr), done.returncode) == ('{"a": 1}\n', 200_001, 3)


def test_a_set_event_ends_the_process(sleeper: dict[str, str], tmp_path: Path) -> None:
    """At once, and whoever waits is told."""
    stop = threading.Event()

    def later() -> None:
        _wait_for(tmp_path / "lock.held")
        stop.set()

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(EmbeddingError, match="closed"):
        run_module("sleeper", sleeper, seconds=60, stop=stop)
    thread.join()
    assert _is_free(tmp_path / "lock")


def test_a_process_that_takes_too_long_is_ended(sleeper: dict[str, str], tmp_path: Path) -> None:
    """It is gone before the error is raised."""
    with pytest.raises(subprocess.TimeoutExpired, match=r"timed out after 0\.5 seconds"):
        run_module("sleeper", sleeper, seconds=0.5)
    assert _is_free(tmp_path / "lock")


def test_a_process_ends_with_the_one_that_started_it(sleeper: dict[str, str], tmp_path: Path) -> None:
    """Killed without a chance to clean up, as by a supervisor that restarts it."""
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from router_memory.backends.bert.processes import run_module
run_module("sleeper", {sleeper!r}, seconds=60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        _wait_for(tmp_path / "lock.held")
        assert not _is_free(tmp_path / "lock")
    finally:
        parent.kill()
        parent.wait()
    until = time.monotonic() + PATIENCE
    while not _is_free(tmp_path / "lock"):
        assert time.monotonic() < until, "the process outlives its parent"
        time.sleep(0.02)


@pytest.mark.parametrize("executable", [None, "", "/usr/sbin/uwsgi"])
def test_without_an_interpreter_no_process_is_started(executable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that embeds Python would be started a second time."""
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(EmbeddingError, match="is not a Python interpreter"):
        run_module("echo", {}, seconds=1)


def test_a_frozen_program_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its executable is itself, whatever it is called."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(EmbeddingError, match="is not a Python interpreter"):
        run_module("echo", {}, seconds=1)
