"""The bundled model, loaded once for all plugins of a run, with a count of what each of them asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from router_memory.backends.bert import BertEmbedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Counting", "Model"]


class Model:
    """The model. It remembers what it embedded to be stored, so that several stores are filled at the cost of one."""

    def __init__(self) -> None:
        self.bert = BertEmbedder()
        self._passages: dict[str, NDArray[np.float32]] = {}

    async def __aenter__(self) -> Self:
        await self.bert.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.bert.close()

    async def passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `Embedder.embed_passages`."""
        new = [text for text in dict.fromkeys(texts) if text not in self._passages]
        if new:
            self._passages.update(zip(new, await self.bert.embed_passages(new), strict=True))
        return [self._passages[text] for text in texts]


class Counting:
    """One plugin's view of the model; implements `Embedder`. Closing it leaves the model to the others.

    Args:
        model: Open.

    Attributes:
        queries: How many queries the model has embedded for this plugin.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.queries = 0

    @property
    def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return self._model.bert.dimension

    @property
    def fingerprint(self) -> str:
        """See `Embedder.fingerprint`."""
        return self._model.bert.fingerprint

    @property
    def runtime(self) -> str:
        """See `Embedder.runtime`."""
        return self._model.bert.runtime

    async def identify(self) -> None:
        """See `Embedder.identify`."""
        await self._model.bert.identify()

    async def open(self) -> None:
        """See `Embedder.open`."""
        await self._model.bert.open()

    async def close(self) -> None:
        """Leaves the model open."""

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """See `Embedder.embed_query`."""
        self.queries += 1
        return await self._model.bert.embed_query(text)

    async def embed_passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `Embedder.embed_passages`."""
        return await self._model.passages(texts)

    def backlog_seconds(self, text: str = "") -> float:
        """See `Embedder.backlog_seconds`."""
        return self._model.bert.backlog_seconds(text)
