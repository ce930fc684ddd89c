"""router-memory with config/config.yaml; a row changes the runtime, the store or what is told of the speaker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any

import yaml

from bench.peers.drivers.serving import Memory, Options, serve
from router_memory import MemoryPlugin, Scope
from router_memory.types import Turn

_CONFIG = Path(__file__).parents[3] / "config" / "config.yaml"
_TIMEOUT_SECONDS = 60


class RouterMemory:
    """Implements `Peer`."""

    def __init__(self, plugin: MemoryPlugin, *, speaker: bool) -> None:
        self._plugin = plugin
        self._speaker = speaker

    async def add(self, memories: Sequence[Memory], until: float) -> int:
        """A session at a time."""
        added = 0
        for (user, session), said in groupby(memories, lambda one: (one.user, one.session)):
            if perf_counter() > until:
                break
            turns = [self._turn(one) for one in said]
            await self._plugin.remember(Scope(user), session, turns)
            added += len(turns)
        return added

    async def add_one(self, memory: Memory) -> None:
        """A memory by itself."""
        await self._plugin.add(Scope(memory.user), memory.text, speaker=memory.speaker if self._speaker else None)

    async def search(self, user: str, question: str, limit: int) -> list[str]:
        """With the threshold off."""
        hits = await self._plugin.search(Scope(user), question, limit=limit, threshold=0.0)
        return [hit.record.content for hit in hits]

    async def filled(self) -> int:
        """Counts: messages that say nothing are not stored."""
        return (await self._plugin.stats()).memories

    async def close(self) -> None:
        """Writes what is left."""
        await self._plugin.close()

    def _turn(self, memory: Memory) -> Turn:
        return Turn(
            role=memory.role,
            content=memory.text,
            speaker=memory.speaker if self._speaker else None,
            position=memory.position,
            created_at=datetime.fromisoformat(memory.created_at),
        )


async def opened(options: Options) -> RouterMemory:
    """On an empty store."""
    document: dict[str, Any] = yaml.safe_load(_CONFIG.read_text(encoding="utf-8"))
    memory = document["global"]["stores"]["memory"]
    memory["embedded"] = {"path": str(options.folder / "memory.db")}
    if "runtime" in options.extra:
        memory["embedding"] = {"runtime": options.extra["runtime"]}
    if options.server is not None:
        host, port = options.server
        memory["backend"] = "valkey"
        memory["valkey"] = {"host": host, "port": port, "timeout": _TIMEOUT_SECONDS}
    plugin = await MemoryPlugin.open(document).__aenter__()
    return RouterMemory(plugin, speaker=options.extra.get("speaker") != "no")


if __name__ == "__main__":
    serve(opened, ["onnxruntime", "sentence-transformers", "torch", "usearch", "valkey-glide"])
