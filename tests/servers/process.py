"""A server process of a test's own: started, stopped, killed, paused and started again on the same port and folder."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.servers.ports import free_port
from tests.servers.resp import Answer, ServerSaid, ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.servers.find import Found

__all__ = ["Endpoint", "Server", "ServerDied"]

_START_SECONDS = 120.0  # one that loads much on a busy machine; one that ended is noticed at once
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01
_LOG_LINES = 30
# Else Search 1.2.1 hangs for ever when a script writes while a snapshot is being saved (its issue 1260).
# And loses vectors once it has read an index back from disk.
_SEARCH_CONFIG = {"search.max-worker-suspension-secs": "0", "search.skip-rdb-load": "yes"}
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class ServerDied(Exception):
    """The process ended, or never answered; the text holds the end of its log."""


def _die_with_parent() -> None:
    """The kernel kills the server when the test process ends, however it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Endpoint:
    """A server that runs."""

    def __init__(self, host: str, port: int, *, password: str = "") -> None:
        self.host = host
        self.port = port
        self.password = password

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port

    def ask(self, *args: str | bytes) -> Answer:
        """The reply to one command, by the default user, without TLS."""
        return ask(self.port, *args, host=self.host, password=self.password)


class Server(Endpoint):
    """One server process on the loopback interface. It ends when the thread that started it does.

    Args:
        found: What to start.
        folder: Its working folder, which holds its data and its log.
        search: Whether to load the Search module.
        module_args: Arguments of the module.
        config: Directives of its configuration, e.g. ``{"appendonly": "yes"}``; a list gives the directive many times.
        port: The port; a free one by default.
    """

    def __init__(
        self,
        found: Found,
        folder: Path,
        *,
        search: bool = False,
        module_args: Sequence[str] = (),
        config: Mapping[str, str | Sequence[str]] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__("127.0.0.1", free_port() if port is None else port)
        self.folder = folder
        self.config = dict(config or {})
        self.password = str(self.config.get("requirepass", ""))
        self._found = found
        self._search = search
        self._module_args = tuple(module_args)
        self._process: subprocess.Popen[bytes] | None = None

    # -- its life

    def start(self) -> Server:
        """Starts the process and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._found.command, str(self._configured())],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Ends it in order (SIGTERM): it saves what it saves."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)  # a paused one could not end
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends it at once (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stops it in its tracks (SIGSTOP): the kernel still accepts connections and data for it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stops it if it runs, and starts it on the same port and folder."""
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise ServerDied("the server is not running")
        return self._process.pid

    def log(self, *, lines: int = _LOG_LINES) -> str:
        """The end of its log."""
        try:
            written = (self.folder / "server.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(written[-lines:])

    # -- inside

    def _configured(self) -> Path:
        """The configuration as a file: on a command line an argument of the module would pass for a directive."""
        config: dict[str, str | Sequence[str]] = {
            "port": str(self.port),
            "bind": self.host,
            "dir": f'"{self.folder}"',
            "save": '""',
            "enable-debug-command": "yes",
            "repl-diskless-sync-delay": "0",
            **(_SEARCH_CONFIG if self._search else {}),
        } | self.config
        lines = [
            f"{name} {single}"
            for name, value in config.items()
            for single in ([value] if isinstance(value, str) else value)
        ]
        if self._search:
            lines.append(" ".join(["loadmodule", str(self._found.module), *self._module_args]))
        path = self.folder / "server.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                raise ServerDied(f"the server ended at its start:\n{self.log()}")
            try:
                if self.ask("PING") == b"PONG":
                    return
            except (OSError, ServerSaid):  # it loads its data, or does not listen yet
                time.sleep(_POLL_SECONDS)
        raise ServerDied(f"the server did not answer:\n{self.log()}")

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)
