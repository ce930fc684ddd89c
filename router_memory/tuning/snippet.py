"""The YAML of a decision with the settings that were chosen, ready to be pasted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from router_memory.types import CutoffRule, RankingMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.tuning.sweep import Point

__all__ = ["snippet"]


class _Dumper(yaml.SafeDumper):
    """Indents lists, as the configurations that come along do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def snippet(
    decision: str, configured: Mapping[str, Any], point: Point, *, limit: int, mode: RankingMode, notes: Sequence[str]
) -> str:
    """A document with this one decision.

    Args:
        decision: Its name.
        configured: The configuration of its memory plugin as the file has it; what is not tuned stays.
        point: What was chosen.
        limit: Most memories of a request.
        mode: The ranking that the figures were measured with; a threshold holds for it alone.
        notes: Lines of comment to put in front.
    """
    hybrid = mode is not RankingMode.DENSE
    tuned: dict[str, Any] = {
        **configured,
        "retrieval_limit": limit,
        "similarity_threshold": round(point.threshold, 4),
        "adaptive_threshold": point.rule is not CutoffRule.FIXED,
        "hybrid_search": hybrid,
        **({"hybrid_mode": mode.value} if hybrid else {}),
    }
    plugin = {"type": "memory", "configuration": tuned}
    document = {"routing": {"decisions": [{"name": decision, "plugins": [plugin]}]}}
    comments = "".join(f"# {' '.join(note.split())}\n" for note in notes)
    return comments + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
