"""An MCP server on standard input and output with an embedder that needs no model; prints where it must not.

python -m tests.interfaces.mcp.stdio_double FOLDER USER [PROJECT]
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from router_memory import MemoryPlugin, Scope
from router_memory.interfaces.mcp.stdio import serve_stdio
from router_memory.interfaces.mcp.wire import standard_wire
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.interfaces.mcp.conftest import configuration


def main(folder: str, user: str, project: str | None = None) -> None:
    """Serves."""

    def make() -> MemoryPlugin:
        print("a library prints", flush=True)  # noqa: T201 - what must not reach the client
        subprocess.run(
            [sys.executable, "-c", "print('so does a process', input())"], check=False, stderr=subprocess.DEVNULL
        )
        return MemoryPlugin(Assembly(configuration(Path(folder)), HashingEmbedder))

    with standard_wire() as wire:
        asyncio.run(serve_stdio(Scope(user, project), make, wire))


if __name__ == "__main__":
    main(*sys.argv[1:])
