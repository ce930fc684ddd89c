"""Clients that ask without a pause, in a process of their own: jobs on standard input, figures on standard output.

Each is a line. A job says ``port``, ``headers``, ``questions``, ``stream``, ``connections`` and ``seconds``. Where
``new`` is true no question is asked twice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections import Counter
from time import perf_counter
from typing import Any, cast

import uvloop

_PATIENCE_SECONDS = 30.0
_numbers = itertools.count(1)


class Client(asyncio.Protocol):
    """One connection.

    Args:
        job: What to ask.
        until: When to stop asking.
        figures: Where to write down how it went.
    """

    def __init__(self, job: dict[str, Any], until: float, figures: Figures) -> None:
        self._job = job
        self._until = until
        self._figures = figures
        self._buffer = b""
        self._began = 0.0
        self._first = 0.0
        self._asked = 0
        self._left: int | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the server broke the connection: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Looks for the end of the answer."""
        if self._left is None:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self._buffer[:end].lower(), self._buffer[end + 4 :]
            self._figures.heads[_facts(head)] += 1
            at = head.find(b"content-length:")
            self._left = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else -1
            self._buffer = b""
        if data and not self._first:
            self._first = perf_counter()
        if self._left >= 0:
            self._left -= len(data)
            finished = self._left <= 0
        else:
            self._buffer = (self._buffer + data)[-5:]
            finished = self._buffer == b"0\r\n\r\n"
        if finished:
            self._answered()

    def _answered(self) -> None:
        now = perf_counter()
        self._figures.first.append(self._first - self._began)
        self._figures.whole.append(now - self._began)
        if now < self._until:
            self._ask()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _ask(self) -> None:
        questions = self._job["questions"]
        number = next(_numbers)
        question = questions[number % len(questions)]
        if self._job["new"]:
            question = f"{question} I mean the one of booking {number}."
        messages = [
            {"role": "system", "content": "You are a travel agent. Be brief, and never invent a flight."},
            {"role": "user", "content": "Good morning, I would like to plan my next trip with you."},
            {"role": "assistant", "content": "Gladly! Where would you like to go, and when?"},
            {"role": "user", "content": question},
        ]
        body = json.dumps(
            {"model": "m", "messages": messages, "stream": self._job["stream"], "temperature": 0.2},
            separators=(",", ":"),
        ).encode()
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            f"host: 127.0.0.1:{self._job['port']}",
            *(f"{name}: {value}" for name, value in self._job["headers"].items()),
            f"content-length: {len(body)}",
        ]
        self._buffer, self._left, self._first = b"", None, 0.0
        self._began = perf_counter()
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


class Figures:
    """What a job's clients write down."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.whole: list[float] = []
        self.heads: Counter[str] = Counter()


def _facts(head: bytes) -> str:
    """Status, and what memory did."""
    status = head.split(b" ", 2)[1].decode()
    at = head.find(b"x-router-memory-reason:")
    return f"{status} {head[at + 23 :].split(bytes((13, 10)), 1)[0].decode().strip()}" if at >= 0 else status


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    figures, began = Figures(), perf_counter()
    until = began + job["seconds"]
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client(job, until, figures), "127.0.0.1", job["port"]))[1]
        for _ in range(job["connections"])
    ]
    async with asyncio.timeout(job["seconds"] + _PATIENCE_SECONDS):
        await asyncio.gather(*(client.done for client in clients))
    seconds = perf_counter() - began
    first = sorted(figures.first)
    return {
        "requests": len(first),
        "a_second": len(first) / seconds,
        "first_p10_ms": first[len(first) // 10] * 1e3,
        "first_p50_ms": first[len(first) // 2] * 1e3,
        "first_p95_ms": first[len(first) * 95 // 100] * 1e3,
        "heads": dict(figures.heads),
    }


def main() -> None:
    """Does one job after the other until there are no more."""
    for line in sys.stdin:
        print(json.dumps(uvloop.run(_run(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
