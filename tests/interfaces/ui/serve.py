"""A server process for the dashboard's tests: the whole HTTP application over an embedded store.

    python -m tests.interfaces.ui.serve FOLDER PORT SECTION

SECTION is the section ``service`` as JSON. A double embeds, so that it starts at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import uvicorn

from router_memory import MemoryPlugin
from router_memory.config import Config, load_config
from router_memory.interfaces.http.app import create_app
from router_memory.interfaces.http.operations import register
from router_memory.service import Service
from router_memory.telemetry import Telemetry
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder

DECISIONS = [
    {
        "name": "personalized_route",
        "plugins": [{"type": "memory", "configuration": {"retrieval_limit": 10, "similarity_threshold": 0.6}}],
    },
    {
        "name": "strict_route",
        "plugins": [{"type": "memory", "configuration": {"retrieval_limit": 3, "similarity_threshold": 0.68}}],
    },
    {"name": "no_memory_route", "plugins": [{"type": "memory", "configuration": {"enabled": False}}]},
]


def configuration(folder: Path, service: dict[str, Any]) -> dict[str, Any]:
    """What is served, as it stands in a file."""
    memory = {
        "enabled": True,
        "auto_store": True,
        "hybrid_search": True,
        "hybrid_mode": "rerank",
        "adaptive_threshold": True,
        "deadline_ms": 5000,
        "embedded": {"path": str(folder / "memory.db")},
        "redis_cache": {"enabled": True},
        "service": service,
    }
    return {"global": {"stores": {"memory": memory}}, "routing": {"decisions": DECISIONS}}


async def serve(config: Config, port: int) -> None:
    """Serves until it is told to end."""
    embedder = HashingEmbedder()
    service = Service(
        config, telemetry=Telemetry(), open_memory=lambda wanted: MemoryPlugin(Assembly(wanted, lambda: embedder))
    )
    await service.open()
    service.telemetry.timeline.note("started", workers=1, backend="embedded")
    try:
        register(service)
        await uvicorn.Server(uvicorn.Config(create_app(service), port=port, log_level="warning")).serve()
    finally:
        await service.close(5)
        await service.telemetry.close()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("section", type=json.loads)
    given = parser.parse_args()
    asyncio.run(serve(load_config(configuration(given.folder, given.section)), given.port))


if __name__ == "__main__":
    main()
