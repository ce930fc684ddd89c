"""What a request that names no user should have said. Pure."""

from __future__ import annotations

from router_memory.config import Config
from router_memory.identity.caller import Caller

__all__ = ["who_is_wanted"]

_SHOWN = {"jwt": "a token", "api_key": "an API key"}


def who_is_wanted(config: Config, caller: Caller) -> str:
    """One sentence for a client that named no user: how it does so here, without anything that is secret.

    Args:
        config: The one in force.
        caller: What `Authenticator.identify` made of the request.
    """
    return f"this request names no user: {_wanted(config, caller)}"


def _wanted(config: Config, caller: Caller) -> str:
    header, auth = config.identity.user_header, config.service.auth
    if "development" in auth.modes:
        return f"say who in the parameter user_id or the header {header}"
    if caller.how != "anonymous":  # a credential that is good, and stands for more than one user
        return f"say in the header {header} for which user this credential asks"
    peers = " from an address of service.auth.trusted_peers" if auth.trusted_peers else ""
    sent = f"send the header {header}{peers}"
    shown = " or ".join(_SHOWN[mode] for mode in ("api_key", "jwt") if mode in auth.modes)
    if not shown:
        return sent
    if "header" in auth.modes:
        return f"{sent}, or {shown}"
    return f"{shown} is needed; the header {header} does not count here without one"
