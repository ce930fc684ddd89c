"""What is found where the store never writes it, and the error that says so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from router_memory.backends.valkey.translate import BACKEND
from router_memory.errors import BackendRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Damaged", "Foreign", "Misfiled", "number", "reading"]


class Damaged(Exception):
    """A value is not what the store writes. The text tells which, never what it says."""


class Foreign(Damaged):
    """An index is not one the store makes."""


class Misfiled(Exception):
    """A memory of another scope was found where it cannot be."""


def number(raw: bytes | None) -> int:
    """One of the counts in a user's statistics; 0 where there is none.

    Raises:
        Damaged: It is no number.
    """
    try:
        return int(raw or 0)
    except ValueError:
        raise Damaged("a count of a user is no number") from None


@contextmanager
def reading(operation: str, location: str) -> Iterator[None]:
    """Raises `BackendRejected` for a reply that does not hold what the store writes.

    Args:
        operation: What is being done.
        location: The server.
    """
    try:
        yield
    except Foreign as error:
        raise BackendRejected(
            f"{location}: {error}",
            backend=BACKEND,
            operation=operation,
            hint="another program uses that name: configure an index_name of your own; nothing was changed",
        ) from error
    except Damaged as error:
        raise BackendRejected(
            f"{location}: the data are damaged: {error}",
            backend=BACKEND,
            operation=operation,
            hint="something else wrote under this collection_prefix; nothing was deleted",
        ) from error
    except Misfiled as error:
        raise BackendRejected(
            f"{location}: {error}",
            backend=BACKEND,
            operation=operation,
            hint="the index may have been damaged by a restart, or something else wrote under this collection_prefix: "
            "router-memory doctor says which",
        ) from error
