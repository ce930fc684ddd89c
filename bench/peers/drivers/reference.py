"""The memory of vLLM Semantic Router at 3d48f8c on Valkey, hybrid mode `weighted`, its algorithm in Python.

One HNSW index over everybody's vectors (M 16, EF_CONSTRUCTION 256), the user a TAG, no EF_RUNTIME; eight times as many
nearest neighbours as wanted, at least 20; then 0.7 · (1 + cosine)/2 + 0.2 · BM25 (k1 1.2, b 0.75) over the candidates,
scaled from 0 to 1, + 0.1 · Jaccard of character 3-grams. There it is Go with a Rust embedder, here Python with
sentence-transformers.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from bench.peers.drivers.serving import Memory, Options, serve

_DIMENSION = 384
_OVER_FETCH, _LEAST = 8, 20
_K1, _B = 1.2, 0.75
_VECTOR, _BM25, _NGRAM = 0.7, 0.2, 0.1
_N = 3
_INDEX, _PREFIX = "mem_idx", "mem:"
_TIMEOUT_MS = 60_000


class Reference:
    """Implements `Peer`."""

    def __init__(self, client: Any, model: Any) -> None:
        self._client = client
        self._model = model

    async def add(self, memories: Sequence[Memory], until: float) -> int:
        """One by one."""
        for number, memory in enumerate(memories):
            if perf_counter() > until:
                return number
            await self.add_one(memory)
        return len(memories)

    async def add_one(self, memory: Memory) -> None:
        """The id first, then the rest."""
        key = f"{_PREFIX}{memory.id}"
        vector = np.asarray(self._model(memory.text), np.float32).tobytes()
        await self._client.custom_command(["HSETNX", key, "id", memory.id])
        fields = ["user_id", memory.user, "content", memory.text, "created_at", memory.created_at, "embedding", vector]
        await self._client.custom_command(["HSET", key, *fields])

    async def search(self, user: str, question: str, limit: int) -> list[str]:
        """The nearest, reordered."""
        vector = np.asarray(self._model(question), np.float32).tobytes()
        count = str(max(limit * _OVER_FETCH, _LEAST))
        query = f"(@user_id:{{{user}}})=>[KNN {count} @embedding $v AS distance]"
        wanted = ["RETURN", "2", "content", "distance", "LIMIT", "0", count, "DIALECT", "2"]
        reply = await self._client.custom_command(["FT.SEARCH", _INDEX, query, "PARAMS", "2", "v", vector, *wanted])
        found = [(hit[b"content"].decode(), 1 - float(hit[b"distance"]) / 2) for hit in reply[1].values()]
        scores = fused(question, [text for text, _ in found], [similarity for _, similarity in found])
        order = sorted(range(len(found)), key=lambda place: -scores[place])
        return [found[place][0] for place in order[:limit]]

    def filled(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Ends the connection."""
        await self._client.close()


def fused(question: str, texts: Sequence[str], similarities: Sequence[float]) -> list[float]:
    """The weighted score of each candidate, in [0, 1]."""
    if not texts:
        return []
    lexical = _bm25(_words(question), [_words(text) for text in texts])
    low, high = min(lexical), max(lexical)
    span = high - low or 1.0
    asked = _grams(question)
    return [
        _VECTOR * similarity + _BM25 * (score - low) / span + _NGRAM * _jaccard(asked, _grams(text))
        for text, similarity, score in zip(texts, similarities, lexical, strict=True)
    ]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _bm25(query: Sequence[str], documents: Sequence[Sequence[str]]) -> list[float]:
    counts = [Counter(words) for words in documents]
    mean = sum(map(len, documents)) / len(documents) or 1.0
    scores = [0.0] * len(documents)
    for word in set(query):
        holding = sum(word in count for count in counts)
        idf = math.log((len(documents) - holding + 0.5) / (holding + 0.5) + 1)
        for place, count in enumerate(counts):
            length = 1 - _B + _B * len(documents[place]) / mean
            scores[place] += idf * count[word] * (_K1 + 1) / (count[word] + _K1 * length)
    return scores


def _grams(text: str) -> set[str]:
    lower = text.lower()
    return {lower[place : place + _N] for place in range(len(lower) - _N + 1)}


def _jaccard(one: set[str], other: set[str]) -> float:
    both = len(one | other)
    return len(one & other) / both if both else 0.0


async def opened(options: Options) -> Reference:
    """On an empty server."""
    glide = import_module("glide")
    assert options.server is not None, "it needs a server"
    glide.Logger.init(glide.LogLevel.OFF)
    nodes = [glide.NodeAddress(*options.server)]
    client = await glide.GlideClient.create(glide.GlideClientConfiguration(nodes, request_timeout=_TIMEOUT_MS))
    graph = [
        "TYPE",
        "FLOAT32",
        "DIM",
        str(_DIMENSION),
        "DISTANCE_METRIC",
        "COSINE",
        "M",
        "16",
        "EF_CONSTRUCTION",
        "256",
    ]
    schema = ["user_id", "TAG", "embedding", "VECTOR", "HNSW", str(len(graph)), *graph]
    await client.custom_command(["FT.CREATE", _INDEX, "ON", "HASH", "PREFIX", "1", _PREFIX, "SCHEMA", *schema])
    return Reference(client, _model(options))


def _model(options: Options) -> Any:
    if options.our_embedder:
        from bench.peers.drivers.embedding import Embedder

        return Embedder().query
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(options.model, device="cpu").encode


if __name__ == "__main__":
    serve(opened, ["valkey-glide", "sentence-transformers", "torch"])
