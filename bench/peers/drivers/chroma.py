"""Chroma in the process, one persistent collection, users told apart by metadata."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from bench.peers.drivers.serving import Memory, Options, serve


class Chroma:
    """Implements `Peer`."""

    def __init__(self, options: Options) -> None:
        chroma = import_module("chromadb")
        settings = import_module("chromadb.config").Settings(anonymized_telemetry=False)
        client = chroma.PersistentClient(path=str(options.folder / "chroma"), settings=settings)
        functions = import_module("chromadb.utils.embedding_functions")
        embed: Any
        if options.our_embedder:
            embed = _ours(chroma.EmbeddingFunction)
        else:
            embed = functions.SentenceTransformerEmbeddingFunction(model_name=options.model)
        self._collection = client.create_collection("memories", embedding_function=embed)

    def add(self, memories: Sequence[Memory], until: float) -> int:
        """All in one call."""
        del until
        self._collection.add(
            ids=[one.id for one in memories],
            documents=[one.text for one in memories],
            metadatas=[{"user": one.user} for one in memories],
        )
        return len(memories)

    def add_one(self, memory: Memory) -> None:
        """The same call with one."""
        self.add([memory], 0.0)

    def search(self, user: str, question: str, limit: int) -> list[str]:
        """Among the user's documents."""
        found = self._collection.query(
            query_texts=[question], n_results=limit, where={"user": user}, include=["documents"]
        )
        return list(found["documents"][0])

    def filled(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing: the process ends."""


def _ours(base: Any) -> Any:
    """Our embedder as one of its embedding functions."""
    from bench.peers.drivers.embedding import Embedder

    embedder = Embedder()

    class Ours(base):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def __call__(self, input: list[str]) -> Any:
            return embedder.passages(input)

        @staticmethod
        def name() -> str:
            return "router_memory"

        def default_space(self) -> str:
            return "cosine"

        def get_config(self) -> dict[str, Any]:
            return {}

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> Any:
            del config
            return Ours()

    return Ours()


if __name__ == "__main__":
    serve(Chroma, ["chromadb", "sentence-transformers", "torch"])
