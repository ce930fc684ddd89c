"""What both servers are checked for: the login and the encryption."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router_memory.config.problems import Problems
    from router_memory.config.servers import ServerSection

__all__ = ["check_user", "tls_warnings"]

_TLS_KEYS = ("tls_ca_path", "tls_insecure_skip_verify", "client_cert_path", "client_key_path")


def check_user(server: ServerSection, key_path: str, problems: Problems) -> None:
    """Adds a login by name alone to `problems`: the client has none."""
    if server.username and not server.password_file and not server.password.get_secret_value():
        problems.add(f"{key_path}.username", "a user name needs a password", "set password or password_file")


def tls_warnings(server: ServerSection, key_path: str) -> list[str]:
    """TLS keys without effect, and a connection that trusts anybody."""
    if not server.tls_enabled:
        return [
            f"{key_path}.{key}: has no effect without tls_enabled: true" for key in _TLS_KEYS if getattr(server, key)
        ]
    if server.tls_insecure_skip_verify:
        return [f"{key_path}.tls_insecure_skip_verify: any server's certificate is taken; for tests only"]
    return []
