"""Which modules of a model a graph can express, and which a model has, by its files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_listing", "check_module", "listed_modules"]

_EXPRESSIBLE = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize")
_LIBRARY = "sentence_transformers"
_LISTING = "modules.json"


def check_module(package: str, kind: str) -> None:
    """A trace keeps the branches one example takes, so only modules are let through that have none that matter.

    Args:
        package: Full name of the Python module that has the class.
        kind: Name of the class.

    Raises:
        EmbeddingError: It is not one of them.
    """
    if kind not in _EXPRESSIBLE or package.partition(".")[0] != _LIBRARY:
        raise EmbeddingError(
            f"the embedding model has a module {kind}, which is not exported", hint="set embedding.runtime: torch"
        )


def check_listing(directory: Path) -> None:
    """Checks what a model's files say of its modules, before anything is loaded.

    Raises:
        EmbeddingError: One of them cannot be expressed.
        OSError, ValueError: The list cannot be read.
    """
    for name, _ in listed_modules(directory):
        package, _, kind = name.rpartition(".")
        check_module(package, kind)


def listed_modules(directory: Path) -> list[tuple[str, str]]:
    """Full name of the class and folder, relative to the model, of each module; none for a bare transformers model.

    Raises:
        OSError, ValueError: The list cannot be read.
    """
    try:
        entries = json.loads((directory / _LISTING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    try:
        return [(str(entry["type"]), str(entry["path"])) for entry in entries]
    except (LookupError, TypeError) as error:
        raise ValueError(f"{_LISTING} is not a list of modules: {error!r}") from None
