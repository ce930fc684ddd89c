"""The floor: sentence-transformers embeds the question, and that is all."""

from __future__ import annotations

from collections.abc import Sequence

from bench.peers.drivers.serving import Memory, Options, serve


class Floor:
    """Implements `Peer` as far as a floor can."""

    def __init__(self, options: Options) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(options.model, device="cpu")

    def add(self, memories: Sequence[Memory], until: float) -> int:
        """Nothing is stored."""
        del until
        return len(memories)

    def add_one(self, memory: Memory) -> None:
        """Embeds it."""
        self._model.encode(memory.text)

    def search(self, user: str, question: str, limit: int) -> list[str]:
        """Embeds the question; nothing is found."""
        del user, limit
        self._model.encode(question)
        return []

    def filled(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


if __name__ == "__main__":
    serve(Floor, ["sentence-transformers", "torch"])
