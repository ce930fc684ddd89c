"""Stores on a path, and the little that the tests of faults share."""

from __future__ import annotations

import os
import subprocess
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

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


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """Makes the folder a disk of its own; skips the test where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0755", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NOT TESTED: a disk of its own needs root and the right to mount: {error}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, *, read_only: bool) -> None:
    """Makes a `small_disk` read-only, or writable again."""
    subprocess.run(["mount", "-o", f"remount,{'ro' if read_only else 'rw'}", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes what is left of a disk. The file to delete to give it back."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            return filler
