"""FT.SEARCH commands. None can be made without a user; ids and stems enter them as digests alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router_memory.backends.valkey.keys import stem_tag
from router_memory.backends.valkey.records import RECORD_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router_memory.types import MemoryType, Scope

__all__ = [
    "DISTANCE",
    "MOST_NEIGHBOURS",
    "MOST_STEMS",
    "Knn",
    "matching",
    "nearest",
    "owned_by",
    "stem_groups",
    "with_stems",
]

DISTANCE = "distance"
"""The name under which a hit's distance comes back."""

MOST_NEIGHBOURS = 10_000
"""Most neighbours the module finds in one search."""

MOST_STEMS = 400
"""Most stems of one query: their tags stay well below the module's 10,240 bytes and 1,000 terms."""

_RETURNED = (*RECORD_FIELDS, "more")

Command = tuple[str | bytes, ...]


@dataclass(frozen=True, slots=True)
class Knn:
    """The vector part of a search.

    Attributes:
        count: How many neighbours, 1 to `MOST_NEIGHBOURS`.
        vector: The query's vector as the index reads it.
        ef: EF_RUNTIME of an HNSW index; ``None`` for a FLAT one, which knows none.
    """

    count: int
    vector: bytes
    ef: int | None = None


def owned_by(scope: Scope, types: frozenset[MemoryType]) -> str:
    """The filter every query starts with: memories of the scope, of these types (empty: of all)."""
    parts = [f"@user:{{{scope.user_digest}}}"]
    if scope.project_digest is not None:
        parts.append(f"@project:{{{scope.project_digest}}}")
    if types:
        parts.append(f"@type:{{{'|'.join(sorted(member.value for member in types))}}}")
    return " ".join(parts)


def stem_groups(stems: Sequence[str]) -> Iterator[Sequence[str]]:
    """The stems in groups that fit into a query."""
    for start in range(0, len(stems), MOST_STEMS):
        yield stems[start : start + MOST_STEMS]


def nearest(index: str, where: str, knn: Knn, *, timeout_ms: int, local: bool) -> Command:
    """The memories nearest to a vector among those a filter lets through.

    Args:
        index: Its name.
        where: A filter, or ``*`` for an index that holds one user's vectors alone.
        timeout_ms: When the server may give up; it says so then and gives no part of the answer.
        local: Whether to ask only the node that gets the command: on a cluster, where it is the user's own.
    """
    prefilter = where if where == "*" else f"({where})"
    ef = "" if knn.ef is None else f" EF_RUNTIME {knn.ef}"
    text = f"{prefilter}=>[KNN {knn.count} @embedding $v{ef} AS {DISTANCE}]"
    returned = (*_RETURNED, DISTANCE)
    parameters = ("PARAMS", "2", "v", knn.vector)
    return (*_search(index, text, returned, knn.count, timeout_ms=timeout_ms, local=local), *parameters, "DIALECT", "2")


def matching(index: str, where: str, limit: int, *, timeout_ms: int, local: bool) -> Command:
    """Memories that a filter lets through, in no order."""
    return (*_search(index, where, _RETURNED, limit, timeout_ms=timeout_ms, local=local), "DIALECT", "2")


def with_stems(scope: Scope, where: str, stems: Sequence[str]) -> str:
    """The filter narrowed to memories that hold one of the stems."""
    user = scope.user_digest
    return f"{where} @stems:{{{'|'.join(stem_tag(user, stem) for stem in stems)}}}"


def _search(
    index: str, text: str, returned: Sequence[str], limit: int, *, timeout_ms: int, local: bool
) -> tuple[str | bytes, ...]:
    options = ("LOCALONLY",) if local else ()
    fields = ("RETURN", str(len(returned)), *returned)
    return (
        "FT.SEARCH",
        index,
        text,
        *options,
        "ALLSHARDS",
        "TIMEOUT",
        str(timeout_ms),
        *fields,
        "LIMIT",
        "0",
        str(limit),
    )
