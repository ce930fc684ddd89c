"""Where exports lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from router_memory.backends.bert.digests import Digests
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from router_memory.backends.bert.source import Source

__all__ = ["digests_of", "folder_of"]

_PLACE = Path("router-memory", "models")


def folder_of(source: Source, runtime: str) -> Path:
    """The folder of an export: ``<cache>/<fingerprint>/<runtime>``, whether it is there or not.

    Raises:
        EmbeddingError: No place is configured and this user has no home folder.
    """
    return (source.cache or _user_cache()) / source.fingerprint.replace("/", "--") / runtime


def digests_of(cache: Path | None) -> Digests:
    """What is remembered of files in a folder of exports, the user's without one; nothing where there is no place."""
    try:
        return Digests(cache or _user_cache())
    except EmbeddingError:
        return Digests()


def _user_cache() -> Path:
    """The user's folder for what can be made again, by the XDG base directory specification."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if configured.is_absolute():
        return configured / _PLACE
    try:
        return Path.home() / ".cache" / _PLACE
    except RuntimeError:
        raise EmbeddingError(
            "there is no place for the exported model: this user has no home folder",
            hint="set embedding.cache_dir to a folder that may be written, or embedding.runtime: torch",
        ) from None
