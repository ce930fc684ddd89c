"""How the parts of the service's section fit together, and what in it will surprise somebody."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from router_memory.config.headers import is_loopback
from router_memory.config.own import MEMORY_PATH

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from router_memory.config.auth import AuthSection
    from router_memory.config.model import MemorySection
    from router_memory.config.problems import Problems
    from router_memory.config.service import ServiceSection

__all__ = ["check_service", "service_warnings"]

_PATH = f"{MEMORY_PATH}.service"
_AUTH = f"{_PATH}.auth"
_SHORTEST_KEY = 16  # characters of an admin key below which guessing it is no longer hopeless

# Headers that mean something else already: to HTTP, to the service, or to the server behind it.
_TAKEN = frozenset(
    "authorization x-api-key host cookie connection content-length content-type content-encoding transfer-encoding "
    "accept accept-encoding origin user-agent te upgrade forwarded x-forwarded-for x-request-id".split()
)


def check_service(memory: MemorySection, problems: Problems) -> None:
    """Adds what is wrong between the service's keys to `problems`."""
    _check_headers(memory, problems)
    _check_modes(memory.service, problems)
    _check_files(memory.service.auth, problems)


def _check_headers(memory: MemorySection, problems: Problems) -> None:
    """Each header means one thing: a project that is taken for a user would open somebody's memories."""
    identity, service = memory.identity, memory.service
    places = {
        f"{MEMORY_PATH}.identity.user_header": identity.user_header,
        f"{MEMORY_PATH}.identity.opt_out_header": identity.opt_out_header,
        f"{_PATH}.decision_header": service.decision_header,
        f"{_PATH}.project_header": service.project_header,
        f"{_PATH}.conversation_header": service.conversation_header,
    }
    first: dict[str, str] = {}
    for path, name in places.items():
        if name in _TAKEN:
            problems.add(path, f"{name} has a meaning of its own", "choose another header")
        elif name in first:
            problems.add(path, f"{name} is {first[name]} already", "choose another header")
        first.setdefault(name, path)


def _check_modes(service: ServiceSection, problems: Problems) -> None:
    auth = service.auth
    if len(set(auth.modes)) < len(auth.modes):
        problems.add(f"{_AUTH}.modes", "names a mode twice")
    if "development" in auth.modes:
        if len(auth.modes) > 1:
            problems.add(f"{_AUTH}.modes", "development stands alone", "it takes everybody for anybody")
        if not is_loopback(service.host):
            problems.add(
                f"{_PATH}.host", "development is for this machine alone", "set 127.0.0.1, or another auth.modes"
            )
    elif "header" in auth.modes and len(auth.modes) > 1 and not auth.trusted_peers:
        problems.add(
            f"{_AUTH}.trusted_peers",
            "is empty, so that anybody's user header would count beside the other modes",
            "name the gateway's addresses, or take header out of modes",
        )


def _check_files(auth: AuthSection, problems: Problems) -> None:
    needed = {"api_key": ("api_keys_file",), "jwt": ("jwt.jwks_file", "jwt.issuer", "jwt.audience")}
    for mode, keys in needed.items():
        for key in keys if mode in auth.modes else ():
            if not _value(auth, key):
                problems.add(f"{_AUTH}.{key}", f"is empty, and the mode {mode} needs it")


def service_warnings(memory: MemorySection, decisions: Container[str | None]) -> list[str]:
    """What loads and will surprise somebody who runs the service.

    Args:
        memory: The global section.
        decisions: The decisions of the file.
    """
    service = memory.service
    return [*_exposure(service), *_without_effect(service), *_unknown_decisions(service, decisions)]


def _exposure(service: ServiceSection) -> Iterator[str]:
    auth = service.auth
    if "development" in auth.modes:
        yield f"{_AUTH}.modes: development lets every program of this machine read and change everybody's memories"
    if "header" in auth.modes:
        if not auth.trusted_peers and not is_loopback(service.host):
            yield (
                f"{_AUTH}.trusted_peers: is empty, so whoever reaches {service.host} can name any user; "
                "name the gateway's addresses, or see to it that nobody else gets there"
            )
        for peer in auth.trusted_peers:
            if not ip_network(peer).prefixlen:
                yield f"{_AUTH}.trusted_peers: {peer} is everybody"
    key = auth.admin_key.get_secret_value()
    if key and len(key) < _SHORTEST_KEY:
        yield f"{_AUTH}.admin_key: is short; `openssl rand -hex 32` makes a good one"


def _without_effect(service: ServiceSection) -> Iterator[str]:
    auth, limits, upstream = service.auth, service.limits, service.upstream
    if auth.trusted_peers and "header" not in auth.modes:
        yield f"{_AUTH}.trusted_peers: has no effect without the mode header"
    for mode, key in (("api_key", "api_keys_file"), ("jwt", "jwt.jwks_file")):
        if _value(auth, key) and mode not in auth.modes:
            yield f"{_AUTH}.{key}: has no effect without the mode {mode}"
    if "development" in auth.modes:
        for key in ("admin_key", "admin_key_file"):
            if _value(auth, key):
                yield f"{_AUTH}.{key}: has no effect in development, where everybody is an admin"
    if limits.burst and not limits.requests_per_second:
        yield f"{_PATH}.limits.burst: has no effect without requests_per_second"
    if upstream.tls_ca_path and upstream.url.startswith("http:"):
        yield f"{_PATH}.upstream.tls_ca_path: has no effect, the url is not https"


def _unknown_decisions(service: ServiceSection, decisions: Container[str | None]) -> Iterator[str]:
    named = {f"{_PATH}.default_decision": service.default_decision}
    named |= {f"{_PATH}.models[{index}].decision": alias.decision for index, alias in enumerate(service.models)}
    for path, name in named.items():
        if name and name not in decisions:
            yield f"{path}: there is no decision {name!r}, so the globals hold for it"


def _value(auth: AuthSection, key: str) -> str:
    section: object = auth
    for part in key.split("."):
        section = getattr(section, part)
    return section if isinstance(section, str) else auth.admin_key.get_secret_value()
