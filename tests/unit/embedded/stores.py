"""Stores on a path, and the little that the tests of faults share."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from router_memory.backends.embedded import EmbeddedStore
from tests.contract.samples import DIMENSION, FINGERPRINT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

NOBODY = 65_534


def embedded(path: Path, **options: Any) -> EmbeddedStore:
    """A store that is not open yet."""
    chosen: dict[str, Any] = {"dimension": DIMENSION, "fingerprint": FINGERPRINT, "synchronous": "off"}
    return EmbeddedStore(path, **(chosen | options))


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[EmbeddedStore]:
    """An open store, closed at the end."""
    store = embedded(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def without_rights() -> Iterator[None]:
    """Runs the block as nobody where the tests run as root, whom no file mode stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
