"""What differs between two configurations. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from router_memory.config import Config
from router_memory.config.headers import is_loopback
from router_memory.errors import ConfigError

__all__ = ["changes", "check_exposure", "needs_restart"]

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


def check_exposure(before: Config, after: Config, *, bound: str) -> None:
    """Refuses a configuration that would open to everybody what others than this machine reach.

    The address stays the one that is listened on, whatever the new configuration names, so what is safe with its own
    address may not be safe with this one.

    Args:
        before, after: The one that is served and the one that is to be.
        bound: Address or name that is listened on.

    Raises:
        ConfigError: It would.
    """
    if is_loopback(bound):
        return
    auth = after.memory.service.auth
    if "development" in auth.modes:
        raise _exposed(after, "modes", "development is for this machine alone")
    if _believes_anybody(after) and not _believes_anybody(before):
        key = "modes" if "header" not in before.memory.service.auth.modes else "trusted_peers"
        raise _exposed(after, key, "anybody who reaches the service could name any user")


def _believes_anybody(config: Config) -> bool:
    auth = config.memory.service.auth
    return "header" in auth.modes and not auth.trusted_peers


def _exposed(config: Config, key: str, what: str) -> ConfigError:
    return ConfigError(
        f"{what}, and the address that is listened on is open to others",
        file=str(config.file),
        key_path=f"{_SERVICE}.auth.{key}",
        hint="start the service anew if that is meant",
    )


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
