"""Claims with their targets, and the table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Claim", "at_least", "at_most", "table"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure, and what it should be.

    Attributes:
        name: What it is of.
        value: The figure.
        target: ``≤ 1.5`` and the like; empty without one.
        met: Whether it is; ``None`` without a target.
    """

    name: str
    value: float
    target: str = ""
    met: bool | None = None

    def document(self) -> dict[str, Any]:
        """JSON-compatible; see `bench.document.Stated`."""
        return {"value": self.value} | ({"target": self.target, "met": self.met} if self.target else {})


def at_most(name: str, value: float, target: float) -> Claim:
    """A claim that holds up to `target`."""
    return Claim(name, value, f"≤ {target:g}", bool(value <= target))


def at_least(name: str, value: float, target: float) -> Claim:
    """A claim that holds from `target` on."""
    return Claim(name, value, f"≥ {target:g}", bool(value >= target))


def table(claims: Sequence[Claim]) -> str:
    """The claims for a terminal."""
    width = max((len(claim.name) for claim in claims), default=0) + 2
    verdicts: Mapping[bool | None, str] = {True: "met", False: "MISSED", None: ""}
    lines = [f"{'figure':<{width}}{'value':>10}  {'target':<10}"]
    lines += [
        f"{claim.name:<{width}}{claim.value:>10.3f}  {claim.target:<10}{verdicts[claim.met]}".rstrip()
        for claim in claims
    ]
    return "\n".join(lines)
