"""Loading a model: from disk only, quietly, and with no more threads than there are CPUs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from router_memory.backends.bert.cpus import available_cpus
from router_memory.backends.bert.encoder import Encoder
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["load_encoder"]


def load_encoder(directory: Path, *, query_prefix: str = "", passage_prefix: str = "", threads: int = 0) -> Encoder:
    """Imports torch and sentence-transformers and loads a model. Blocks for seconds.

    Args:
        directory: A model as sentence-transformers stores it.
        query_prefix: Put in front of queries.
        passage_prefix: Put in front of passages.
        threads: Of torch, which has one number for the whole process. 0 takes one less than the CPUs this process
            may use, at least one: torch's threads spin while they wait for each other, so taking every CPU makes
            an embedding many times slower as soon as anything else runs.

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


def _load(directory: Path, query_prefix: str, passage_prefix: str, threads: int) -> Encoder:
    import torch  # takes seconds; runs on the embedder's thread
    from sentence_transformers import SentenceTransformer

    wanted = threads or max(1, available_cpus() - 1)
    if wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)
    with _no_progress_bars():
        model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    model.eval()
    return Encoder(model, query_prefix=query_prefix, passage_prefix=passage_prefix)


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
