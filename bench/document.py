"""The one schema of what a benchmark writes: its strict model, its reader and its writer.

A document belongs to one benchmark and consists of parts. Each part says by itself what was typed for it and where it
ran, because parts are measured again by themselves: a file may hold parts of several days, machines and versions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["SCHEMA", "Document", "Environment", "Part", "Stated", "UnreadableDocument", "plain", "read", "write"]

SCHEMA: Final = 1
_TARGET = re.compile(r"([≤≥]) (-?[\d.]+(?:e[+-]?\d+)?)")


class UnreadableDocument(Exception):
    """A file is no document of this schema; the message says which file and what is wrong with it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Stated(_Strict):
    """A claim as it was measured.

    Attributes:
        name: What the figure is of.
        value: The figure; null where there was none, e.g. because a division had nothing to divide by.
        target: ``≤ 1.5`` and the like; empty without one.
        met: Whether it is; null without a target.
    """

    name: str = Field(min_length=1)
    value: float | None
    target: str = ""
    met: bool | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if bool(self.target) != (self.met is not None):
            raise ValueError(f"{self.name!r} must have both target and met, or neither")
        bound = _TARGET.fullmatch(self.target)
        if bound and self.met != _holds(self.value, bound[1], float(bound[2])):
            raise ValueError(
                f"{self.name!r} says met: {self.met}, but {self.value} against {self.target} says otherwise"
            )
        return self


class Environment(_Strict):
    """Where and with what a part ran.

    Attributes:
        date: Of the day, in UTC, ``YYYY-MM-DD``.
        seed: That all data were generated from.
        python: Version.
        machine, system: Kind of processor and of operating system; nothing names the machine.
        processor: Model of the processor as the system calls it; empty where it does not say.
        cpus: Processors the process may use.
        versions: Of packages.
        servers: Of servers and their clients.
    """

    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    seed: int
    python: str
    machine: str
    system: str
    processor: str = ""
    cpus: int = Field(ge=1)
    versions: dict[str, str]
    servers: dict[str, str] = {}


class Part(_Strict):
    """One part of a benchmark.

    Attributes:
        command: What is to be typed for the same figures, without where they are written to.
        quick: Whether it was the short run, whose figures are rougher or of less data.
        environment: Where it ran.
        settings: The numbers it was given.
        facts: What else is to be known of the run, e.g. what could not be measured and why.
        claims: The figures that count, in the order in which they are shown.
        figures: All figures, of a shape that is the benchmark's own.
    """

    command: str = Field(pattern=r"^python -m bench\.")
    quick: bool
    environment: Environment
    settings: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    claims: list[Stated]
    figures: dict[str, Any]


class Document(BaseModel):
    """All parts of one benchmark.

    Attributes:
        version: Of this schema; ``schema`` in the file.
        benchmark: Name of its folder.
        parts: In the order in which they run.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1] = Field(default=SCHEMA, alias="schema")
    benchmark: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    parts: dict[str, Part] = {}


def read(path: Path) -> Document:
    """The document in a file.

    Raises:
        FileNotFoundError: There is none.
        UnreadableDocument: It is no document, or not of this schema.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableDocument(f"{path.name} is no JSON: {error}") from error
    version = loaded.get("schema") if isinstance(loaded, dict) else None
    if version != SCHEMA:
        said = "has no schema" if version is None else f"has schema {version!r}"
        raise UnreadableDocument(f"{path.name} {said}; schema {SCHEMA} is what is read here: measure it again")
    try:
        return Document.model_validate(loaded)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors())
        raise UnreadableDocument(f"{path.name} breaks the schema: {wrong}") from error


def write(document: Document, path: Path) -> None:
    """Puts the document into a file as a whole, so that an interrupted run leaves what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(document.model_dump(by_alias=True)), indent=2, ensure_ascii=False, allow_nan=False)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(path)


def _holds(value: float | None, sign: str, bound: float) -> bool:
    return value is not None and (value <= bound if sign == "≤" else value >= bound)


def plain(value: Any) -> Any:
    """The same in what JSON knows: numpy's numbers become Python's, infinities null, keys text."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Sequence | set | frozenset):
        return [plain(one) for one in value]
    if callable(getattr(value, "tolist", None)):
        return plain(value.tolist())  # numpy's scalars and arrays
    return str(value)
