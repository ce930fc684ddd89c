"""mem0 over its local Qdrant, without its language model: what is added is stored as it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from time import perf_counter
from typing import Any

from bench.peers.drivers.serving import Memory, Options, serve

_DIMENSION = 384


class Mem0:
    """Implements `Peer`."""

    def __init__(self, options: Options) -> None:
        os.environ["MEM0_DIR"] = str(options.folder / "home")
        if options.our_embedder:
            factory = import_module("mem0.utils.factory").EmbedderFactory
            factory.provider_to_class["huggingface"] = f"{OurEmbedder.__module__}.{OurEmbedder.__name__}"
        qdrant = {"path": str(options.folder / "qdrant"), "embedding_model_dims": _DIMENSION, "on_disk": True}
        self._memory = import_module("mem0").Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": qdrant},
                "embedder": {"provider": "huggingface", "config": {"model": options.model}},
                "llm": {"provider": "openai", "config": {"api_key": "never used"}},
                "history_db_path": str(options.folder / "history.db"),
            }
        )

    def add(self, memories: Sequence[Memory], until: float) -> int:
        """One by one: there is no call for many users, and that for many messages embeds one by one too."""
        for number, memory in enumerate(memories):
            if perf_counter() > until:
                return number
            self.add_one(memory)
        return len(memories)

    def add_one(self, memory: Memory) -> None:
        """Stores it without inference."""
        self._memory.add(memory.text, user_id=memory.user, infer=False)

    def search(self, user: str, question: str, limit: int) -> list[str]:
        """Its search, with the threshold off."""
        found = self._memory.search(question, filters={"user_id": user}, top_k=limit, threshold=0.0)
        return [one["memory"] for one in found["results"]]

    def filled(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing: the process ends."""


class OurEmbedder:
    """What its factory makes in place of its own embedder."""

    def __init__(self, config: Any = None) -> None:
        from bench.peers.drivers.embedding import Embedder

        self.config = config
        self._embedder = Embedder()

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """One text or question."""
        del memory_action
        return self._embedder.query(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
        """Many texts."""
        del memory_action
        return self._embedder.passages(texts)


if __name__ == "__main__":
    serve(Mem0, ["mem0ai", "qdrant-client", "sentence-transformers", "torch"])
