"""A configuration as it was read, so that every process loads the same one however the file changes meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from router_memory.config import Config, load_config
from router_memory.config.document import read_content
from router_memory.errors import ConfigError

__all__ = ["Material"]


@dataclass(frozen=True, slots=True)
class Material:
    """What a configuration is made from.

    Attributes:
        generation: Counted from 1 by the parent.
        file: Path of the file; ``None`` for the defaults.
        content: What stood in it; relative paths in it start at its folder.
        overrides: What the command line says in place of the file, by path below the memory section.
    """

    generation: int
    file: Path | None = None
    content: bytes = field(default=b"", repr=False)  # which may hold secrets
    overrides: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def read(cls, generation: int, file: Path | None, overrides: Mapping[str, object]) -> Material:
        """Reads the file.

        Raises:
            ConfigError: It cannot be read; or it is empty, and another configuration is in force: an editor that is
                about to write leaves it so for a moment, and everything would be off.
        """
        content = b"" if file is None else read_content(file)
        if generation > 1 and file is not None and not content.strip():
            hint = "write it beside and move it there, so that it is whole whenever it is read"
            raise ConfigError("is empty", file=str(file), hint=hint)
        return cls(generation, file, content, overrides)

    def load(self) -> Config:
        """The configuration.

        Raises:
            ConfigError: It is wrong.
        """
        content = None if self.file is None else self.content
        return load_config(self.file, content=content, overrides=self.overrides)

    def carried(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "generation": self.generation,
            "file": None if self.file is None else str(self.file),
            "content": self.content.decode("latin-1"),  # which gives every byte back
            "overrides": dict(self.overrides),
        }

    @classmethod
    def revived(cls, carried: Mapping[str, Any]) -> Material:
        """What `carried` was made from."""
        file = carried["file"]
        content = str(carried["content"]).encode("latin-1")
        return cls(int(carried["generation"]), None if file is None else Path(file), content, carried["overrides"])
