"""The documents of a folder, and what is looked up in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.catalogue import BENCHMARKS
from bench.document import Document, Part, Stated, read

__all__ = ["Documents", "claim", "figures", "load", "runs"]

Documents = Mapping[str, Document]
"""By benchmark."""


def load(folder: Path) -> Documents:
    """What is there of each benchmark; one that was not measured is left out.

    Raises:
        UnreadableDocument: A file is none of this schema.
    """
    paths = {one.name: folder / f"{one.name}.json" for one in BENCHMARKS}
    return {name: read(path) for name, path in paths.items() if path.is_file()}


def runs(parts: Mapping[str, Part]) -> list[tuple[Part, list[str]]]:
    """Parts measured by the same command at the same place, together: one of them, and the names of all."""

    def how(item: tuple[str, Part]) -> str:
        return f"{item[1].command}{item[1].quick}{item[1].environment.model_dump_json()}"

    grouped = (list(alike) for _, alike in groupby(parts.items(), key=how))
    return [(alike[0][1], [name for name, _ in alike]) for alike in grouped]


def figures(documents: Documents, benchmark: str, part: str) -> Mapping[str, Any] | None:
    """All figures of a part; ``None`` when it was not measured."""
    found = _part(documents, benchmark, part)
    return None if found is None else found.figures


def claim(documents: Documents, benchmark: str, part: str, name: str) -> tuple[Stated, bool] | None:
    """A claim by its name, and whether it is of a quick run; ``None`` when it was not measured."""
    found = _part(documents, benchmark, part)
    claims: Sequence[Stated] = found.claims if found else ()
    stated = next((one for one in claims if one.name == name), None)
    return None if stated is None or found is None else (stated, found.quick)


def _part(documents: Documents, benchmark: str, part: str) -> Part | None:
    document = documents.get(benchmark)
    return document.parts.get(part) if document else None
