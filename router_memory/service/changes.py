"""What differs between two configurations. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from router_memory.config import Config

__all__ = ["changes", "needs_restart"]

_MEMORY = "global.stores.memory"
_SERVICE = f"{_MEMORY}.service"

_AT_START = tuple(f"{_SERVICE}.{key}" for key in ("host", "port", "workers", "telemetry", "mcp", "ui"))
"""What is settled when the processes start: the address, their number, and what the application is put together of."""


def changes(before: Config, after: Config) -> tuple[str, ...]:
    """Key paths whose values differ, sorted: of our section key by key, of decisions the name alone."""
    paths = set(_differences(before.memory, after.memory, _MEMORY))
    names = {*before.decisions, *after.decisions}
    paths |= {
        f"routing.decisions[{name}]"
        for name in names
        if before.knows(name) != after.knows(name) or _own(before, name) != _own(after, name)
    }
    return tuple(sorted(paths))


def needs_restart(changed: Sequence[str]) -> tuple[str, ...]:
    """Those of them that a reload does not bring about."""
    return tuple(path for path in changed if any(path == key or path.startswith(f"{key}.") for key in _AT_START))


def _own(config: Config, decision: str) -> object:
    """The decision's policy beside the globals': a changed global is no change of a decision."""
    policy, common = config.policy(decision), config.policy(None)
    names = policy.__dataclass_fields__
    return {name: getattr(policy, name) for name in names if getattr(policy, name) != getattr(common, name)}


def _differences(before: BaseModel, after: BaseModel, path: str) -> Iterator[str]:
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(old, BaseModel) and isinstance(new, BaseModel):
            yield from _differences(old, new, f"{path}.{name}")
        else:
            yield f"{path}.{name}"
