"""A service in processes of its own, on a free loopback port, ended by its process id."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

__all__ = ["ADMIN", "ROOT", "Running", "gone", "yaml_of"]

ROOT = Path(__file__).parents[3]
ADMIN = {"authorization": "Bearer the-admin-key-of-the-tests"}
PATIENCE = 60.0
"""Seconds for anything that a busy machine may take its time for; what is waited for is looked at all the while."""

_ENTRY = "tests.interfaces.serving.entry"
_SERVING = re.compile(r"^serving (http://\S+)", re.MULTILINE)
_LIBC = ctypes.CDLL(None)
_POLL_SECONDS = 0.02


def yaml_of(folder: Path, *, service: dict[str, Any] | None = None, **memory: Any) -> str:
    """A configuration; JSON is YAML."""
    section = {
        "enabled": True,
        "auto_store": True,
        "deadline_ms": 5000,
        "embedded": {"path": str(folder / "memory.db")},
        "service": {"port": 0, "mcp": False, "auth": {"admin_key": "the-admin-key-of-the-tests"}, **(service or {})},
        **memory,
    }
    decisions = [{"name": "wide", "plugins": [{"type": "memory", "configuration": {"similarity_threshold": 0.5}}]}]
    return json.dumps({"global": {"stores": {"memory": section}}, "routing": {"decisions": decisions}})


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGTERM)


class Running:
    """``router-memory serve``, started with a configuration.

    Args:
        folder: Holds the configuration and the output.
        text: The configuration.
        arguments: More of the command line.
        environment: More of the environment.
    """

    def __init__(self, folder: Path, text: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "config.yaml"
        self.file.write_text(text)
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.interfaces.serving.entry",
                    "serve",
                    "--config",
                    str(self.file),
                    *arguments,
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, "TMPDIR": str(folder), **(environment or {})},
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        self.url = ""

    @property
    def pid(self) -> int:
        """Of the parent."""
        return self._process.pid

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._err.read_text()

    def ready(self) -> Running:
        """Waits until all workers serve."""
        self.until(lambda: _SERVING.search(self.out) is not None or self._process.poll() is not None)
        found = _SERVING.search(self.out)
        if found is None:
            raise RuntimeError(f"it did not start:\n{self.out}\n{self.err}")
        self.url = found[1]
        return self

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits for something to hold."""
        until = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > until:
                raise TimeoutError(f"it did not come to pass:\n{self.out}\n{self.err}")
            time.sleep(_POLL_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Sends the parent a signal."""
        self._process.send_signal(number)

    def ended(self) -> int:
        """Waits for the end. Returns the exit code."""
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        """Ends it at once, if it runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    # -- what it says

    def state(self) -> Any:
        """What `/v1/state` says."""
        return httpx.get(f"{self.url}/v1/state", headers=ADMIN, timeout=PATIENCE).json()

    def under_way(self) -> int:
        """How many requests are, besides the one that asks."""
        return int(self.state()["http"]["in_flight"])

    def workers(self) -> list[int]:
        """The process ids of the workers that serve."""
        return [worker["pid"] for worker in self.state()["workers"] if worker["ready"]]

    def reload(self) -> httpx.Response:
        """Asks for the configuration to be loaded anew."""
        return httpx.post(f"{self.url}/v1/config/reload", headers=ADMIN, timeout=PATIENCE)
