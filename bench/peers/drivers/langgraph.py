"""LangGraph's InMemoryStore with an index, and LangChain's HuggingFaceEmbeddings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from bench.peers.drivers.serving import Memory, Options, serve

_DIMENSION = 384


class LangGraph:
    """Implements `Peer`."""

    def __init__(self, options: Options) -> None:
        embed: Any
        if options.our_embedder:
            from bench.peers.drivers.embedding import Embedder

            embed = Embedder().passages
        else:
            embed = import_module("langchain_huggingface").HuggingFaceEmbeddings(model_name=options.model)
        self._put = import_module("langgraph.store.base").PutOp
        store = import_module("langgraph.store.memory").InMemoryStore
        self._store = store(index={"dims": _DIMENSION, "embed": embed, "fields": ["text"]})

    def add(self, memories: Sequence[Memory], until: float) -> int:
        """In as few batches as it takes to have no text twice in one, which the store refuses."""
        del until
        batches: list[dict[str, Memory]] = []
        for one in memories:
            batch = next((each for each in batches if one.text not in each), None)
            if batch is None:
                batches.append(batch := {})
            batch[one.text] = one
        for each in batches:
            puts = [self._put(("memories", one.user), one.id, {"text": text}) for text, one in each.items()]
            self._store.batch(puts)
        return len(memories)

    def add_one(self, memory: Memory) -> None:
        """Puts it."""
        self._store.put(("memories", memory.user), memory.id, {"text": memory.text})

    def search(self, user: str, question: str, limit: int) -> list[str]:
        """In the user's namespace."""
        found = self._store.search(("memories", user), query=question, limit=limit)
        return [item.value["text"] for item in found]

    def filled(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing: the process ends."""


if __name__ == "__main__":
    serve(LangGraph, ["langgraph", "langgraph-checkpoint", "langchain-huggingface", "sentence-transformers", "torch"])
