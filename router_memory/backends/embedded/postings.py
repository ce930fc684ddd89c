"""A user's lexical statistics: which records hold a stem, and how many."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["add_postings", "document_frequencies", "purge_postings", "records_holding", "remove_postings"]


def document_frequencies(connection: sqlite3.Connection, user: int, stems: Sequence[str]) -> Mapping[str, int]:
    """How many of the user's memories hold each stem; those that none holds are absent."""
    if not stems:
        return {}
    return dict(
        connection.execute(
            "SELECT s.stem, s.documents FROM json_each(?) q CROSS JOIN stems s ON s.user = ? AND s.stem = q.value",
            (json.dumps(stems), user),
        ).fetchall()
    )


def records_holding(connection: sqlite3.Connection, user: int, stems: Sequence[str]) -> list[int]:
    """Numbers of the user's records that hold any of the stems, ascending, each once."""
    if not stems:
        return []
    found = connection.execute(  # one JSON array is read in less than half the time of as many rows
        "SELECT json_group_array(p.record) FROM json_each(?) q "
        "CROSS JOIN postings p ON p.user = ? AND p.stem = q.value",
        (json.dumps(stems), user),
    ).fetchone()[0]
    return sorted(set(json.loads(found)))


def add_postings(connection: sqlite3.Connection, user: int, documents: Iterable[tuple[int, Iterable[str]]]) -> None:
    """Enters records, given as number and distinct stems, and counts their stems."""
    holding: defaultdict[str, list[int]] = defaultdict(list)
    for number, stems in documents:
        for stem in stems:
            holding[stem].append(number)
    ordered = sorted(holding)  # in the order of the table, so that each page is visited once
    connection.executemany(
        "INSERT INTO postings (user, stem, record) VALUES (?, ?, ?)",
        [(user, stem, number) for stem in ordered for number in holding[stem]],
    )
    connection.executemany(
        "INSERT INTO stems (user, stem, documents) VALUES (?, ?, ?) "
        "ON CONFLICT (user, stem) DO UPDATE SET documents = documents + excluded.documents",
        [(user, stem, len(holding[stem])) for stem in ordered],
    )


def remove_postings(connection: sqlite3.Connection, user: int, documents: Iterable[tuple[int, Iterable[str]]]) -> None:
    """Takes records out again, with stems no other record holds."""
    pairs = [(user, stem, number) for number, stems in documents for stem in stems]
    connection.executemany("DELETE FROM postings WHERE user = ? AND stem = ? AND record = ?", pairs)
    counts = Counter(stem for _, stem, _ in pairs)
    connection.executemany(
        "UPDATE stems SET documents = documents - ? WHERE user = ? AND stem = ?",
        [(count, user, stem) for stem, count in counts.items()],
    )
    connection.executemany(
        "DELETE FROM stems WHERE user = ? AND stem = ? AND documents <= 0", [(user, stem) for stem in counts]
    )


def purge_postings(connection: sqlite3.Connection, user: int, numbers: Sequence[int]) -> None:
    """Takes records out whose stems nobody knows any more, and counts all of the user's stems anew."""
    connection.execute(
        "DELETE FROM postings WHERE user = ? AND record IN (SELECT value FROM json_each(?))",
        (user, json.dumps(numbers)),
    )
    connection.execute("DELETE FROM stems WHERE user = ?", (user,))
    connection.execute(
        "INSERT INTO stems (user, stem, documents) "
        "SELECT user, stem, count(*) FROM postings WHERE user = ? GROUP BY user, stem",
        (user,),
    )
