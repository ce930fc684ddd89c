"""A model as sentence-transformers loads it: the truth that other runtimes are held to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from router_memory.backends.bert.cpus import model_threads
from router_memory.backends.bert.encoder import Reading, unit_rows
from router_memory.backends.bert.runtimes import TORCH
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from router_memory.backends.bert.splitting import Part

__all__ = ["TorchEncoder", "load_torch"]

_NO_LIMIT = 100_000  # tokenizers without a limit of their own say 10^30


class TorchEncoder:
    """An `Encoder` over torch.

    It calls the model's tokenization and forward pass itself: `SentenceTransformer.encode` around them takes
    0.9 ms more of 7 for a short text, and would apply prompts of the model's own beside the configured prefixes.

    Attributes:
        runtime: ``torch``.
        dimension: Number of components of a vector.
        max_tokens: Longest sequence the model reads, special tokens included.
        model: The model.
        reading: How it reads texts.

    Args:
        model: In evaluation mode, on the CPU.
        query_prefix: Put in front of queries.
        passage_prefix: Put in front of passages.

    Raises:
        EmbeddingError: The model has no fast tokenizer, no limit, or no room beside a prefix.
    """

    runtime = TORCH

    def __init__(self, model: SentenceTransformer, *, query_prefix: str = "", passage_prefix: str = "") -> None:
        self.model = model
        self.dimension = _dimension(model)
        self.reading = _reading(model)
        self.max_tokens = self.reading.max_tokens
        self._query = self.reading.splitter(self._spans, query_prefix)
        self._passage = self.reading.splitter(self._spans, passage_prefix)

    def split_query(self, text: str) -> list[Part]:
        """See `Encoder.split_query`."""
        return self._query.split(text)

    def split_passage(self, text: str) -> list[Part]:
        """See `Encoder.split_passage`."""
        return self._passage.split(text)

    def encode(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        """See `Encoder.encode`."""
        import torch  # loaded with the model, not with this module

        with torch.inference_mode():
            output = self.model(self.features([part.text for part in parts]))
            vectors = output["sentence_embedding"].to(dtype=torch.float32).numpy()
        return unit_rows(vectors[:, : self.dimension])

    def features(self, texts: list[str]) -> dict[str, Any]:
        """What the model makes of texts before its forward pass; older versions call it `tokenize`."""
        named = getattr(self.model, "preprocess", None) or self.model.tokenize
        return dict(named(texts))

    def _spans(self, text: str) -> Sequence[tuple[int, int]]:
        found: Sequence[tuple[int, int]] = self.model.tokenizer(
            text,
            add_special_tokens=False,
            return_attention_mask=False,
            return_offsets_mapping=True,
            padding=False,
            truncation=False,
            verbose=False,
        )["offset_mapping"]
        return found


def load_torch(directory: Path, *, query_prefix: str = "", passage_prefix: str = "", threads: int = 0) -> TorchEncoder:
    """Imports torch and sentence-transformers and loads a model, quietly and from disk only. Blocks for seconds.

    Args:
        directory: A model as sentence-transformers stores it.
        query_prefix: Put in front of queries.
        passage_prefix: Put in front of passages.
        threads: Of torch, which has one number for the whole process; see `model_threads`.

    Raises:
        EmbeddingError: It cannot be loaded.
    """
    try:
        return _load(directory, query_prefix, passage_prefix, threads)
    except EmbeddingError:
        raise
    except Exception as error:
        raise EmbeddingError(
            f"the embedding model in {directory} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _load(directory: Path, query_prefix: str, passage_prefix: str, threads: int) -> TorchEncoder:
    import torch  # takes seconds; runs on the embedder's thread
    from sentence_transformers import SentenceTransformer

    wanted = model_threads(threads)
    if wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)
    with _no_progress_bars():
        model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    model.eval()
    return TorchEncoder(model, query_prefix=query_prefix, passage_prefix=passage_prefix)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keeps transformers from drawing bars on stderr, on this thread and in this block alone.

    transformers 4 has neither the hook nor a bar for a model in one file.
    """
    from transformers.utils import logging  # takes seconds

    set_hook = getattr(logging, "set_tqdm_hook", None)
    if set_hook is None:
        yield
        return
    here = threading.get_ident()
    previous: Callable[..., Any] | None = None

    def hook(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if threading.get_ident() == here:
            return factory(*args, **{**kwargs, "disable": True})
        return previous(factory, args, kwargs) if previous else factory(*args, **kwargs)

    previous = set_hook(hook)
    try:
        yield
    finally:
        set_hook(previous)


def _reading(model: SentenceTransformer) -> Reading:
    tokenizer = model.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise EmbeddingError(
            "the embedding model's tokenizer gives no offsets", hint="use a model with a tokenizer.json"
        )
    return Reading(
        max_tokens=_max_tokens(model),
        special_tokens=int(tokenizer.num_special_tokens_to_add(pair=False)),
        lowercase=bool(getattr(model[0], "do_lower_case", False)),
    )


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
