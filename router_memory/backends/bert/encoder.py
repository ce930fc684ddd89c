"""A loaded sentence-transformers model: texts in parts, parts in vectors. Synchronous, for one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from router_memory.backends.bert.splitting import Part, Splitter
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

__all__ = ["Encoder", "unit_rows"]

# A character can be as many as 18 tokens (NFKC of U+FDFA); with less room than that a text cannot be split at all.
_LEAST_BUDGET = 32
_NO_LIMIT = 100_000  # tokenizers without a limit of their own say 10^30


class Encoder:
    """Encodes on the CPU.

    It calls the model's tokenization and forward pass itself: `SentenceTransformer.encode` around them takes
    0.9 ms more of 7 for a short text, and would apply prompts of the model's own beside the configured prefixes.

    Attributes:
        dimension: Number of components of a vector.
        max_tokens: Longest sequence the model reads, special tokens included.

    Args:
        model: In evaluation mode, on the CPU.
        query_prefix: Put in front of queries.
        passage_prefix: Put in front of passages.

    Raises:
        EmbeddingError: The model has no fast tokenizer, no limit, or no room beside a prefix.
    """

    def __init__(self, model: SentenceTransformer, *, query_prefix: str = "", passage_prefix: str = "") -> None:
        self._model = model
        self._preprocess = _preprocessing(model)
        self.dimension = _dimension(model)
        self.max_tokens = _max_tokens(model)
        self._query = self._splitter(query_prefix)
        self._passage = self._splitter(passage_prefix)

    def split_query(self, text: str) -> list[Part]:
        """The parts of a query, each with the query prefix."""
        return self._query.split(text)

    def split_passage(self, text: str) -> list[Part]:
        """The parts of a passage, each with the passage prefix."""
        return self._passage.split(text)

    def encode(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        """The vectors of parts: float32 of shape (parts, dimension), unit rows.

        Raises:
            EmbeddingError: A vector has no direction: it is zero or not finite.
        """
        import torch  # loaded with the model, not with this module

        with torch.inference_mode():
            output = self._model(dict(self._preprocess([part.text for part in parts])))
            vectors = output["sentence_embedding"].to(dtype=torch.float32).numpy()
        return unit_rows(vectors[:, : self.dimension])

    def _splitter(self, prefix: str) -> Splitter:
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise EmbeddingError(
                "the embedding model's tokenizer gives no offsets", hint="use a model with a tokenizer.json"
            )

        def spans(text: str) -> Sequence[tuple[int, int]]:
            found: Sequence[tuple[int, int]] = tokenizer(
                text,
                add_special_tokens=False,
                return_attention_mask=False,
                return_offsets_mapping=True,
                padding=False,
                truncation=False,
                verbose=False,
            )["offset_mapping"]
            return found

        splitter = Splitter(
            spans,
            max_tokens=self.max_tokens,
            special_tokens=int(tokenizer.num_special_tokens_to_add(pair=False)),
            prefix=prefix,
            lowercase=bool(getattr(self._model[0], "do_lower_case", False)),
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


def _preprocessing(model: SentenceTransformer) -> Callable[[list[str]], Mapping[str, Any]]:
    """The model's tokenization into tensors; older versions call it `tokenize`."""
    named: Callable[[list[str]], Mapping[str, Any]] = getattr(model, "preprocess", None) or model.tokenize
    return named


def _dimension(model: SentenceTransformer) -> int:
    """The dimension; older versions have another name for the method."""
    named = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    dimension = named()
    if not dimension:
        raise EmbeddingError("the embedding model does not say its dimension")
    return int(dimension)


def _max_tokens(model: SentenceTransformer) -> int:
    """The longest sequence, from the model's settings, else from its number of positions."""
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    for limit in (model.max_seq_length, getattr(config, "max_position_embeddings", None)):
        if limit is not None and 0 < limit < _NO_LIMIT:
            return int(limit)
    raise EmbeddingError(
        "the embedding model does not say how long a text it reads",
        hint="set max_seq_length in its sentence_bert_config.json",
    )
