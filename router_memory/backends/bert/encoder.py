"""What turns texts into parts and parts into vectors, whatever it computes with. Synchronous, for one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from router_memory.backends.bert.splitting import Part, Splitter
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from router_memory.backends.bert.splitting import Sequenced, TokenSpans

__all__ = ["Encoder", "Reading", "unit_rows"]

# A character can be as many as 18 tokens (NFKC of U+FDFA); with less room than that a text cannot be split at all.
_LEAST_BUDGET = 32


class Encoder(Protocol):
    """A loaded model on the CPU.

    Attributes:
        runtime: What it computes with, one of `RUNTIMES`.
        dimension: Number of components of a vector.
        max_tokens: Longest sequence the model reads, special tokens included.
    """

    runtime: str
    dimension: int
    max_tokens: int

    def split_query(self, text: str) -> list[Part]:
        """The parts of a query, each with the query prefix."""
        ...

    def split_passage(self, text: str) -> list[Part]:
        """The parts of a passage, each with the passage prefix."""
        ...

    def encode(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        """The vectors of parts: float32 of shape (parts, dimension), unit rows.

        Raises:
            EmbeddingError: A vector has no direction: it is zero or not finite.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model reads texts.

    Attributes:
        max_tokens: Longest sequence, special tokens included.
        special_tokens: How many of them are special.
        lowercase: Whether texts are lower-cased before they are tokenized.
    """

    max_tokens: int
    special_tokens: int
    lowercase: bool

    def splitter(self, spans: TokenSpans, prefix: str, sequenced: Sequenced | None = None) -> Splitter:
        """What splits texts for the model; for the arguments see `Splitter`.

        Raises:
            EmbeddingError: There is no room for a text beside the prefix.
        """
        splitter = Splitter(
            spans,
            max_tokens=self.max_tokens,
            special_tokens=self.special_tokens,
            prefix=prefix,
            lowercase=self.lowercase,
            sequenced=sequenced,
        )
        if splitter.budget < _LEAST_BUDGET:
            raise EmbeddingError(
                f"the embedding model reads {self.max_tokens} tokens and leaves {splitter.budget} beside the prefix",
                hint="shorten query_prefix and passage_prefix",
            )
        return splitter


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors divided by their norms: float32 of the same shape, a copy.

    Raises:
        EmbeddingError: A norm is zero or not finite.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.all(np.isfinite(norms)) or not np.all(norms > 0):
        raise EmbeddingError("the embedding model gave a vector without direction")
    return np.asarray(vectors / norms, dtype=np.float32)
