"""What `config check` says of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router_memory.config import Config

__all__ = ["service_rows", "service_warnings"]

_SHOWN = {"header": "user header", "jwt": "tokens", "api_key": "API keys", "development": "anybody on this machine"}


def service_rows(config: Config) -> list[tuple[str, Any]]:
    """What the service would go by, without secrets; nothing where the file does not mention it."""
    if "service" not in config.memory.model_fields_set:
        return []
    service, auth = config.service, config.service.auth
    host = f"[{service.host}]" if ":" in service.host else service.host
    return [
        ("listens_on", f"{host}:{service.port}"),
        ("workers", service.workers),
        ("chats_go_to", service.upstream.url or "nowhere"),
        ("default_decision", service.default_decision or "none"),
        ("models", [alias.name for alias in service.models]),
        ("callers_show", [_SHOWN[mode] for mode in auth.modes]),
        ("trusted_peers", list(auth.trusted_peers) or "anybody" if "header" in auth.modes else "nobody"),
        ("admin_key", config.admin_key() is not None),
        ("anonymous_chats", auth.anonymous_chats),
    ]


def service_warnings(config: Config) -> list[str]:
    """Reads the files that the service will read, and says what could not be checked.

    Raises:
        ConfigError: One of them is missing, unreadable or wrong.
    """
    from router_memory.errors import MissingExtra
    from router_memory.identity import Authenticator

    if "service" not in config.memory.model_fields_set:
        return []
    config.upstream_key()
    config.upstream_ca()
    warnings = list(_upstream_warnings(config.service.upstream.url))
    try:
        Authenticator.of(config)
    except MissingExtra as error:
        warnings.append(f"the keys of tokens were not checked: {error}")
    return warnings


def _upstream_warnings(url: str) -> Iterator[str]:
    if url and not urlsplit(url).path.strip("/"):
        yield (
            "global.stores.memory.service.upstream.url: has no path, so chats go to /chat/completions; "
            "servers of the OpenAI API mostly want /v1 at the end"
        )
