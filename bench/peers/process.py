"""A driver in its process: one request at a time, each with a limit of time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.peers.environments import ROOT

__all__ = ["Driver", "PeerFailed", "command_of"]

_OFF = {
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGSMITH_TRACING": "false",
    "MEM0_TELEMETRY": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
}
"""The products' own switches against usage data and downloads."""

_KEPT = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "XDG_CACHE_HOME")
"""Of this process's environment; no key and no proxy is among them."""

_LOG_CHARACTERS = 400
_CLOSE_SECONDS = 30.0


class PeerFailed(Exception):
    """A product raised, ended or did not answer; the text says so."""


class Driver:
    """A product that runs, in a folder of its own.

    Args:
        python: Of its environment.
        module: In `bench.peers.drivers`.
        folder: For its data and its log.
        threads: Of OpenMP; 0 for its own default.
    """

    def __init__(self, python: Path, module: str, folder: Path, *, threads: int = 0) -> None:
        self._log = folder / "driver.log"
        self.folder = folder / "data"
        self.folder.mkdir(parents=True)
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= _OFF | {"PYTHONPATH": str(ROOT)}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command_of(python, module),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, op: str, *, within: float, **fields: Any) -> dict[str, Any]:
        """The answer to one request.

        Args:
            op: As in `bench.peers.drivers.serving`.
            within: Seconds; a driver that takes longer is ended.

        Raises:
            PeerFailed: The product raised, or there is no answer.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"op": op, **fields}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=within)
        except queue.Empty:
            self.end()
            raise PeerFailed(f"{op}: no answer within {within:.0f} s") from None
        except BrokenPipeError:
            line = ""
        if not line:
            self.end()
            raise PeerFailed(f"{op}: the process ended: {self._end_of_log()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerFailed(f"{op}: {answer['error']}")
        return answer

    def memory(self) -> dict[str, int]:
        """Bytes: the most that was resident, what is now, and what its folder takes on the disk.

        Raises:
            PeerFailed: The process ended.
        """
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8").splitlines()
            lines = dict(line.split(":", 1) for line in status if line.startswith("Vm"))
            kilobytes = {name: int(lines[name].split()[0]) for name in ("VmHWM", "VmRSS")}
        except (OSError, KeyError) as error:  # a process that ended and was not waited for has no such lines
            raise PeerFailed(f"the process ended: {self._end_of_log()}") from error
        return {
            "peak_resident": kilobytes["VmHWM"] * 1024,
            "resident": kilobytes["VmRSS"] * 1024,
            "disk": sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*") if file.is_file()),
        }

    def end(self) -> None:
        """Ends the process. Idempotent."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS if self._process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _end_of_log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARACTERS:].strip()


def command_of(python: Path, module: str) -> list[str]:
    """What is started for a driver."""
    return [str(python), "-m", f"bench.peers.drivers.{module}"]
