"""Which model is to be loaded, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router_memory.backends.bert.identity import identify
from router_memory.backends.bert.locating import locate
from router_memory.backends.bert.onnx.folders import digests_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Source", "find_source"]


@dataclass(frozen=True, slots=True)
class Source:
    """A model that was found and identified.

    Attributes:
        directory: A model as sentence-transformers stores it.
        fingerprint: See `Identity`.
        dimension: Number of components of a vector.
        query_prefix: Put in front of queries.
        passage_prefix: Put in front of passages.
        threads: As configured, see `model_threads`.
        cache: Where exports are kept; ``None`` for the user's cache folder.
    """

    directory: Path
    fingerprint: str
    dimension: int
    query_prefix: str = ""
    passage_prefix: str = ""
    threads: int = 0
    cache: Path | None = None


def find_source(
    model: str, *, query_prefix: str = "", passage_prefix: str = "", threads: int = 0, cache: Path | None = None
) -> Source:
    """Finds a model and reads its fingerprint from its files, without loading it. Blocks; see `locate`, `identify`.

    Args:
        model: ``bert``, a directory, or the name of a model in the local hub cache.
        query_prefix: As in `Source`.
        passage_prefix: As in `Source`.
        threads: As in `Source`.
        cache: As in `Source`.

    Raises:
        MissingExtra: The bundled model is asked for and not installed.
        EmbeddingError: There is no such model on this machine.
    """
    directory = locate(model)
    identity = identify(directory, query_prefix=query_prefix, passage_prefix=passage_prefix, digests=digests_of(cache))
    return Source(
        directory,
        identity.fingerprint,
        identity.dimension,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        threads=threads,
        cache=cache,
    )
