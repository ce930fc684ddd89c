"""What is started, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["SEED", "Settings"]

SEED = 20260301


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The numbers of one run.

    Attributes:
        seed: Of the memories.
        memories: Of the one user who is searched for.
        imports: Rounds of imports.
        searches: Rounds of searches.
        helps: Rounds of each command's help.
        starts: Rounds of servers.
        exports: Which runtimes the model is exported for.
    """

    seed: int = SEED
    memories: int = 200
    imports: int = 41
    searches: int = 15
    helps: int = 7
    starts: int = 5
    exports: tuple[str, ...] = ("onnx", "onnx-int8")

    def quick(self) -> Settings:
        """The same in fewer rounds."""
        return replace(self, memories=50, imports=11, searches=3, helps=1, starts=1, exports=("onnx-int8",))
