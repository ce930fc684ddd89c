"""The dashboard's files, read once from the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

__all__ = ["INDEX", "Asset", "assets"]

INDEX = "index.html"

_FOLDER = "static"
_MEDIA_TYPES: Mapping[str, str] = {
    # not by `mimetypes`, which asks the machine: a script with another type would not run
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file.

    Attributes:
        body: Its content.
        media_type: For the header ``content-type``.
        etag: Of the content, with its quotes.
    """

    body: bytes
    media_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file by its path below ``/ui/``. Nothing else can be asked for, so no path reaches the file system."""
    return MappingProxyType(dict(_found(files(__package__) / _FOLDER, "")))


def _found(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _found(entry, f"{path}/")
        elif (kind := _MEDIA_TYPES.get(path[path.rfind(".") :])) is not None:
            body = entry.read_bytes()
            yield path, Asset(body, kind, f'"{sha256(body).hexdigest()[:32]}"')
