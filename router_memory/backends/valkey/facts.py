"""What a server says of itself, and what both the store's and the cache's examination make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from router_memory.types import CheckStatus, Finding

if TYPE_CHECKING:
    from router_memory.backends.valkey.connection import Connection

__all__ = ["NOBODY", "Facts", "encryption", "pairs_of", "server_facts", "text_of", "total", "version_of"]

Facts = Mapping[str, str]
"""What INFO says of one node."""

NOBODY = "0" * 32
"""In the place of a user's digest."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


async def server_facts(connection: Connection, operation: str) -> Mapping[str, Facts]:
    """What INFO says, by node.

    Raises:
        BackendError: A node cannot be asked.
    """
    replies = await connection.command(operation, "INFO", "everything", everywhere=True)
    return {text_of(node): _parsed(text_of(reply)) for node, reply in replies.items()}


def total(facts: Mapping[str, Facts], name: str) -> int:
    """The sum of a number over the nodes."""
    return sum(int(node.get(name, 0) or 0) for node in facts.values())


def version_of(node: Facts) -> tuple[str, str]:
    """What a server is, and its version: ``valkey`` or ``redis``, and a text such as ``9.1.2``."""
    if "valkey_version" in node:
        return "valkey", node["valkey_version"]
    return "redis", node.get("redis_version") or "0"


def encryption(connection: Connection, name: str) -> Finding:
    """Whether what goes over a connection can be read on its way.

    Args:
        connection: The connection.
        name: Of the finding.
    """
    ok, warn = CheckStatus.OK, CheckStatus.WARN
    tls = connection.tls
    if tls is None:
        local = all(host in _LOCAL for host, _ in connection.addresses)
        advice = "" if local else "set tls_enabled: memories and the password cross the network in the clear"
        return Finding(name, ok if local else warn, "no TLS", advice, {"tls": False})
    if tls.insecure:
        advice = "give tls_ca_path and set tls_insecure_skip_verify: false"
        return Finding(name, warn, "TLS that takes any certificate", advice, {"tls": True})
    client = " and presents its own" if tls.certificate else ""
    return Finding(name, ok, f"TLS, verifies the server's certificate{client}", data={"tls": True})


def pairs_of(reply: Any) -> dict[str, Any]:
    """Names and values, which come as a map or in turn; bytes as text."""
    pairs = reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=False)
    return {text_of(name): text_of(value) if isinstance(value, bytes) else value for name, value in pairs}


def text_of(value: object) -> str:
    """Bytes as text, whatever they hold."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _parsed(info: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}
