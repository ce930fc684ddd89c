"""Importing the package, beside what any program with an event loop and a database file imports."""

from __future__ import annotations

import sys
from typing import Any

from bench.claims import Claim, at_most
from bench.startup.processes import in_turn, medians, ratio
from bench.startup.settings import Settings

__all__ = ["measure"]

_RATIO = 1.3
_STATEMENTS = {
    "nothing": "pass",
    "floor": "import asyncio, sqlite3",
    "router_memory": "import router_memory",
    "plugin": "from router_memory import MemoryPlugin",
}


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Whole processes, interpreter included."""
    commands = {name: (sys.executable, "-c", statement) for name, statement in _STATEMENTS.items()}
    runs = in_turn(commands, settings.imports)
    ours, floor = runs["router_memory"], runs["floor"]
    return {name: {"statement": _STATEMENTS[name], **medians(found)} for name, found in runs.items()}, [
        at_most("import router_memory / import asyncio, sqlite3", ratio(ours, floor), _RATIO),
        Claim("the same, processor time", ratio(ours, floor, processor=True)),
        Claim("from router_memory import MemoryPlugin / import asyncio, sqlite3", ratio(runs["plugin"], floor)),
    ]
