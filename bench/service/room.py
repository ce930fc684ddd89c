"""Where a part measures: an upstream, a plain pass-through before it, the service before it, and who asks them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from bench.cache.asking import fill, make_corpus
from bench.cache.embedder import Counting, Model
from router_memory import MemoryPlugin
from router_memory.config import load_config
from router_memory.wiring import Assembly
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.service.settings import Settings

__all__ = ["OFF", "READING", "Room", "opened_room"]

USER = "priya"
READING, OFF = "bench_reads", "bench_off"
"""A decision that reads and stores nothing, so that a question's answer stays in the cache; and one without memory."""

_START_SECONDS = 180.0
_DEADLINE_MS = 10_000
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Room:
    """What a part measures with.

    Attributes:
        plain, service: Ports of the two servers.
        _pids: Their processes, by port.
        questions: That the user's memories answer.
    """

    plain: int
    service: int
    questions: Sequence[str]
    _client: subprocess.Popen[str]
    _pids: Mapping[int, int]

    async def ask(
        self, port: int, decision: str, *, stream: bool, new: bool, connections: int, seconds: float
    ) -> dict[str, Any]:
        """Has the clients ask for a while; see `bench.service.client`."""
        job = {
            "port": port,
            "headers": {
                "authorization": "Bearer sk-bench",
                "content-type": "application/json",
                "accept": "application/json",
                "user-agent": "bench",
                "x-authz-user-id": USER,
                "x-vsr-selected-decision": decision,
            },
            "questions": list(self.questions),
            "stream": stream,
            "new": new,
            "connections": connections,
            "seconds": seconds,
        }
        before = _processor_seconds(self._pids[port])
        figures: dict[str, Any] = await asyncio.to_thread(_do, self._client, job)
        worked = _processor_seconds(self._pids[port]) - before
        return figures | {"processor_ms": worked / max(figures["requests"], 1) * 1e3}


@asynccontextmanager
async def opened_room(settings: Settings) -> AsyncIterator[Room]:
    """Stores the user's memories and starts everything. All of it ends with the block."""
    corpus = make_corpus(settings.memories, questions=settings.questions, seed=settings.seed)
    questions = list(dict.fromkeys(asked.text for asked in corpus.questions))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="service-bench-")))
        upstream, plain, service = free_port(), free_port(), free_port()
        document = _configuration(folder, upstream)
        async with Model() as model, MemoryPlugin(Assembly(load_config(document), lambda: Counting(model))) as plugin:
            await fill(plugin, corpus)
        file = folder / "config.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        url = f"http://127.0.0.1:{upstream}"
        stack.enter_context(_started(["-m", "bench.service.upstream", str(upstream), str(settings.chunks)], upstream))
        floor = stack.enter_context(_started(["-m", "bench.service.passthrough", str(plain), url], plain))
        serve = ["-c", "from router_memory.cli import main; main()", "serve", "--config", str(file)]
        ours = stack.enter_context(_started([*serve, "--port", str(service)], service, path="/readyz"))
        client = stack.enter_context(_process(["-m", "bench.service.client"], stdin=subprocess.PIPE))
        yield Room(plain, service, questions, client, {plain: floor.pid, service: ours.pid})


def _configuration(folder: Path, upstream: int) -> dict[str, Any]:
    """The default configuration with the cache's level 1, before this upstream."""
    document: dict[str, Any] = yaml.safe_load((_ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    memory = document["global"]["stores"]["memory"]
    memory |= {
        "deadline_ms": _DEADLINE_MS,
        "embedded": {"path": str(folder / "memory.db")},
        "redis_cache": {"enabled": True},
        "service": {
            "upstream": {"url": f"http://127.0.0.1:{upstream}/v1"},
            "telemetry": {"access_log": False},  # nor does the pass-through write one
            "mcp": False,
        },
    }
    reading = {"auto_store": False, "retrieval_limit": 5, "similarity_threshold": 0.5}
    document["routing"]["decisions"] += [
        {"name": READING, "plugins": [{"type": "memory", "configuration": reading}]},
        {"name": OFF, "plugins": [{"type": "memory", "configuration": {"enabled": False}}]},
    ]
    return document


def _do(client: subprocess.Popen[str], job: Mapping[str, Any]) -> dict[str, Any]:
    if client.stdin is None or client.stdout is None:
        raise RuntimeError("the clients have no pipes")
    client.stdin.write(json.dumps(job) + "\n")
    client.stdin.flush()
    answer = client.stdout.readline()
    if not answer:
        raise RuntimeError("the clients have ended")
    figures: dict[str, Any] = json.loads(answer)
    return figures


@contextmanager
def _started(arguments: Sequence[str], port: int, *, path: str = "") -> Iterator[subprocess.Popen[str]]:
    """A server process, once it listens or, with a path, says there that it is ready."""
    with _process(arguments) as process:
        until = time.monotonic() + _START_SECONDS
        while not _ready(port, path):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{' '.join(arguments)} did not start")
            time.sleep(0.05)
        yield process


def _processor_seconds(pid: int) -> float:
    """Of a process and its children, as Linux counts them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_processor_seconds(int(child)) for child in children)


def _ready(port: int, path: str) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        if not path:
            return True
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
        return connection.recv(65_536).startswith(b"HTTP/1.1 200")
    return False


@contextmanager
def _process(arguments: Sequence[str], *, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    stdout: int | IO[str] = subprocess.PIPE if stdin == subprocess.PIPE else subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *arguments], cwd=_ROOT, stdin=stdin, stdout=stdout, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
