"""From the start of a server to its first answer: HTTP when it is ready, MCP on standard input and output."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from bench.claims import Claim
from bench.startup.processes import PROGRAM, environment
from bench.startup.room import EXPORTED, USER, opened_room
from bench.startup.settings import Settings
from tests.servers.ports import free_port

__all__ = ["measure"]

_PATIENCE_SECONDS = 120.0
_BETWEEN_SECONDS = 0.005
_READY = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}},
}


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Both servers with each runtime, in turn. The service is ready once store and model are open."""
    figures: dict[str, dict[str, list[float]]] = {}
    with opened_room(settings) as room:
        for number in range(-1, settings.starts):
            for runtime, file in room.configurations.items():
                for name, start in (("serve", _serve), ("mcp", _mcp)):
                    ms = await asyncio.wait_for(start(file), _PATIENCE_SECONDS)
                    if number >= 0:
                        figures.setdefault(name, {}).setdefault(runtime, []).append(ms)
    claims = []
    for name, what in (("serve", "serve until /readyz"), ("mcp", "mcp until it is initialized")):
        torch = figures[name]["torch"]
        for runtime in EXPORTED:
            each = [one / other for one, other in zip(figures[name][runtime], torch, strict=True)]
            claims.append(Claim(f"{what}, {runtime} / torch", round(median(each), 4)))
    medians = {
        name: {runtime: {"rounds": len(found), "ms": round(median(found), 1)} for runtime, found in of.items()}
        for name, of in figures.items()
    }
    return medians, claims


async def _serve(configuration: Path) -> float:
    """Milliseconds until ``/readyz`` says 200."""
    port = free_port()
    began = time.perf_counter()
    process = await _started("serve", "--config", str(configuration), "--port", str(port))
    try:
        while not await _is_ready(port):
            if process.returncode is not None:
                raise RuntimeError("router-memory serve ended before it was ready")
            await asyncio.sleep(_BETWEEN_SECONDS)
        return (time.perf_counter() - began) * 1e3
    finally:
        await _end(process)


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(_READY)
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _mcp(configuration: Path) -> float:
    """Milliseconds until the answer to ``initialize``."""
    began = time.perf_counter()
    process = await _started("mcp", "--user", USER, "--config", str(configuration))
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        process.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
        answer = await process.stdout.readline()
        if b'"result"' not in answer:
            raise RuntimeError("router-memory mcp did not answer")
        return (time.perf_counter() - began) * 1e3
    finally:
        await _end(process)


async def _started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *PROGRAM,
        *arguments,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=sys.stderr if sys.flags.verbose else asyncio.subprocess.DEVNULL,
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """Has it end, and reads what it says meanwhile."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    await process.communicate()
