"""Frames and awaited coroutines as names, and where a sample's time belongs.

A name is ``module:function``, without this project's own ``router_memory.``; a stack goes from the outside in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import FrameType
from typing import Any

__all__ = ["LOOP", "ROOMS", "Stack", "awaited", "folded", "frames", "ours", "room"]

Stack = tuple[str, ...]

_OWN = "router_memory."
_ROOMS = {
    "backends.bert": "embedding",
    "cache.embedder": "embedding",
    "backends.embedded": "store",
    "storage": "store",
    "ranking": "ranking",
    "pipeline.recall": "ranking",
    "pipeline.shortlist": "ranking",
    "cache": "cache",
    "pipeline.cached": "cache",
    "pipeline.inject": "injection",
    "pipeline.messages": "injection",
    "telemetry": "telemetry",
}
LOOP, _REST = "event loop", "all else"
ROOMS = (*dict.fromkeys(_ROOMS.values()), _REST, LOOP)
"""``all else`` is ours too: the gate, the policy, the outcome."""
_NOBODYS = "types"
"""Records are made by everybody; their time is that of who makes them."""


def frames(frame: FrameType | None) -> list[str]:
    """The stack of a running frame, with this project's prefix still on."""
    found: list[str] = []
    while frame is not None:
        found.append(_name(frame))
        frame = frame.f_back
    return found[::-1]


def awaited(coroutine: Any) -> list[str]:
    """The same of a coroutine that waits: what it awaits, and what that awaits."""
    found: list[str] = []
    while coroutine is not None:
        frame = next((one for kind in ("cr", "gi", "ag") if (one := getattr(coroutine, f"{kind}_frame", None))), None)
        if frame is None:
            break
        found.append(_name(frame))
        inner = (getattr(coroutine, name, None) for name in ("cr_await", "gi_yieldfrom", "ag_await"))
        coroutine = next((one for one in inner if one is not None), None)
    return found


def ours(stack: list[str]) -> Stack:
    """From this project's first function on; empty when there is none."""
    first = next((place for place, name in enumerate(stack) if name.startswith(_OWN)), len(stack))
    return tuple(name.removeprefix(_OWN) if name.startswith(_OWN) else f"({name})" for name in stack[first:])


def room(stack: Stack) -> str:
    """Where the time belongs: the room of the innermost function of ours that has one."""
    for name in reversed(stack):
        module = name.partition(":")[0]
        if name.startswith("(") or _within(module, _NOBODYS):
            continue
        fitting = [prefix for prefix in _ROOMS if _within(module, prefix)]
        return _ROOMS[max(fitting, key=len)] if fitting else _REST
    return LOOP


def folded(stacks: Mapping[Stack, int], least: float) -> dict[str, int]:
    """Stacks as ``outer;inner`` with their samples, the most frequent first.

    Args:
        least: Share of all samples from which on a function is told apart; rarer ones count as their callers.
    """
    total = sum(stacks.values())
    through: Counter[Stack] = Counter()
    for stack, count in stacks.items():
        for depth in range(1, len(stack) + 1):
            through[stack[:depth]] += count
    kept: Counter[str] = Counter()
    for stack, count in stacks.items():
        depth = len(stack)
        while depth > 1 and through[stack[:depth]] < least * total:
            depth -= 1
        kept[";".join(stack[:depth])] += count
    return dict(kept.most_common())


def _within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}"
