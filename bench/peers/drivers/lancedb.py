"""LanceDB, which CrewAI keeps memories in: one table, an index on the user, no index on so few vectors."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from bench.peers.drivers.serving import Memory, Options, serve

_DIMENSION = 384


class LanceDB:
    """Implements `Peer`."""

    def __init__(self, options: Options) -> None:
        arrow, embeddings = import_module("pyarrow"), import_module("lancedb.embeddings")
        function: Any
        if options.our_embedder:
            function = _ours(embeddings)
        else:
            function = embeddings.get_registry().get("sentence-transformers").create(name=options.model)
        vector = arrow.list_(arrow.float32(), _DIMENSION)
        self._table = (
            import_module("lancedb")
            .connect(str(options.folder / "lance"))
            .create_table(
                "memories",
                schema=arrow.schema(
                    [("id", arrow.string()), ("user", arrow.string()), ("text", arrow.string()), ("vector", vector)]
                ),
                embedding_functions=[
                    embeddings.EmbeddingFunctionConfig(source_column="text", vector_column="vector", function=function)
                ],
            )
        )

    def add(self, memories: Sequence[Memory], until: float) -> int:
        """All in one call."""
        del until
        self._table.add([{"id": one.id, "user": one.user, "text": one.text} for one in memories])
        return len(memories)

    def add_one(self, memory: Memory) -> None:
        """The same call with one."""
        self.add([memory], 0.0)

    def search(self, user: str, question: str, limit: int) -> list[str]:
        """Among the user's rows, which are filtered first."""
        found = self._table.search(question, query_type="vector").where(f"user = '{user}'", prefilter=True)
        return [row["text"] for row in found.limit(limit).select(["text"]).to_list()]

    def filled(self) -> None:
        """Compacts, and indexes the user, as CrewAI does with its scope."""
        self._table.create_scalar_index("user")
        self._table.optimize()

    def close(self) -> None:
        """Nothing: the process ends."""


def _ours(embeddings: Any) -> Any:
    """Our embedder as one of its embedding functions."""
    from bench.peers.drivers.embedding import Embedder

    embedder = Embedder()

    class Ours(embeddings.TextEmbeddingFunction):  # type: ignore[misc]
        def ndims(self) -> int:
            return _DIMENSION

        def generate_embeddings(self, texts: Any) -> Any:
            return embedder.passages(list(texts))

    embeddings.register("router-memory")(Ours)
    return embeddings.get_registry().get("router-memory").create()


if __name__ == "__main__":
    serve(LanceDB, ["lancedb", "pyarrow", "sentence-transformers", "torch"])
