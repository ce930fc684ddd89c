"""FT.SEARCH commands. None can be made without a user; ids and stems enter them as digests alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router_memory.backends.valkey.records import MORE, RECORD_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router_memory.backends.valkey.keys import Keys
    from router_memory.types import MemoryType, Scope

__all__ = [
    "DISTANCE",
    "LONGEST_TIMEOUT_MS",
    "MOST_NEIGHBOURS",
    "MOST_STEMS",
    "Knn",
    "Options",
    "counted",
    "matching",
    "nearest",
    "owned_by",
    "stem_groups",
    "with_stems",
]

DISTANCE = "distance"
"""The name under which a hit's distance comes back."""

LONGEST_TIMEOUT_MS = 60_000
"""Longest TIMEOUT the module takes."""

MOST_NEIGHBOURS = 10_000
"""Most neighbours the module finds in one search."""

MOST_STEMS = 400
"""Most stems of one query: their tags stay well below the module's 10,240 bytes and 1,000 terms."""

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


@dataclass(frozen=True, slots=True)
class Options:
    """How a search is to be answered.

    Attributes:
        timeout_ms: When the server may give up; it says so then and gives no part of the answer.
        local: Whether to ask only the node that gets the command: on a cluster, where it is the user's own.
        vectors: Whether to give the vectors beside the first, too.
    """

    timeout_ms: int
    local: bool = False
    vectors: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """What comes back with each hit."""
        return (*RECORD_FIELDS, MORE) if self.vectors else RECORD_FIELDS


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


def nearest(index: str, where: str, knn: Knn, options: Options) -> Command:
    """The memories nearest to a vector among those a filter lets through.

    Args:
        index: Its name.
        where: A filter, or ``*`` for an index that holds one user's vectors alone.
        knn: How many and to what.
        options: How to answer.
    """
    prefilter = where if where == "*" else f"({where})"
    ef = "" if knn.ef is None else f" EF_RUNTIME {knn.ef}"
    text = f"{prefilter}=>[KNN {knn.count} @embedding $v{ef} AS {DISTANCE}]"
    parameters = ("PARAMS", "2", "v", knn.vector)
    return (*_search(index, text, (*options.fields, DISTANCE), knn.count, options), *parameters, "DIALECT", "2")


def matching(index: str, where: str, limit: int, options: Options) -> Command:
    """Memories that a filter lets through, in no order."""
    return (*_search(index, where, options.fields, limit, options), "DIALECT", "2")


def counted(index: str, user: str, options: Options) -> Command:
    """How many vectors of a user an index holds."""
    scope = ("LOCALONLY",) if options.local else ()
    timeout = ("ALLSHARDS", "TIMEOUT", str(options.timeout_ms))
    return ("FT.SEARCH", index, f"@user:{{{user}}}", *scope, *timeout, "LIMIT", "0", "0", "DIALECT", "2")


def with_stems(keys: Keys, where: str, stems: Sequence[str]) -> str:
    """The filter narrowed to memories that hold one of the stems."""
    return f"{where} @stems:{{{'|'.join(keys.stem_tags(stems))}}}"


def _search(index: str, text: str, fields: Sequence[str], limit: int, options: Options) -> tuple[str | bytes, ...]:
    scope = ("LOCALONLY",) if options.local else ()
    timeout = ("ALLSHARDS", "TIMEOUT", str(options.timeout_ms))
    returned = ("RETURN", str(len(fields)), *fields)
    return ("FT.SEARCH", index, text, *scope, *timeout, *returned, "LIMIT", "0", str(limit))
