"""router-memory's embedder, for products that let one plug in their own: blocking, usable from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from router_memory.backends.bert import ONNX, BertEmbedder

__all__ = ["Embedder"]

_T = TypeVar("_T")


class Embedder:
    """all-MiniLM-L6-v2 over ONNX Runtime, float32. Its loop runs on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._embedder = BertEmbedder("bert", runtime=ONNX)
        self._wait(self._embedder.open())

    def query(self, text: str) -> list[float]:
        """The vector of a question, of length 1."""
        vector: list[float] = self._wait(self._embedder.embed_query(text)).tolist()
        return vector

    def passages(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts, of length 1; one that is longer than the model reads gets the mean of its parts."""
        return [_one(parts).tolist() for parts in self._wait(self._embedder.embed_passages(list(texts)))]

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _one(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = parts.mean(axis=0)
    return mean / np.float32(np.linalg.norm(mean))
