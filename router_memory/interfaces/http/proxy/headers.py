"""Which headers go on to the upstream, and which come back from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router_memory.config import Config
from router_memory.types import Outcome

__all__ = ["Headers", "Names", "of_memory", "to_client", "to_upstream"]

Headers = Sequence[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_OF_THIS_CONNECTION = frozenset((b"host", b"content-length", b"expect", b"cookie"))
_NOT_BACK = _HOP_BY_HOP | {b"date", b"server", b"set-cookie"}  # this server has its own; cookies are another host's
_CREDENTIALS = (b"authorization", b"x-api-key", b"api-key")


@dataclass(frozen=True, slots=True)
class Names:
    """The headers that are this service's own, in lower case.

    Attributes:
        user, opt_out, decision, project, conversation: As configured.
    """

    user: bytes
    opt_out: bytes
    decision: bytes
    project: bytes
    conversation: bytes

    @classmethod
    def of(cls, config: Config) -> Names:
        """Those of a configuration."""
        service, identity = config.memory.service, config.identity
        names = (identity.user_header, identity.opt_out_header, service.decision_header, service.project_header)
        user, opt_out, decision, project = (name.encode() for name in names)
        return cls(user, opt_out, decision, project, service.conversation_header.encode())

    @property
    def not_on(self) -> frozenset[bytes]:
        """What never goes on to the upstream."""
        ours = (self.user, self.opt_out, self.decision, self.project, self.conversation)
        return _HOP_BY_HOP | _OF_THIS_CONNECTION | set(ours)


def to_upstream(
    headers: Headers,
    *,
    not_on: frozenset[bytes],
    credential: str,
    api_key: bytes,
    collecting: bool,
    traced: Iterable[tuple[str, str]] = (),
) -> list[tuple[bytes, bytes]]:
    """The headers for the upstream, without those of the body and the host.

    Args:
        not_on: See `Names.not_on`.
        credential: The header that said who is asking: it was meant for this service.
        api_key: The upstream's; if it is empty the client's own credential goes on, unless this service used it.
        collecting: Whether the reply is to be read, so that it must not be compressed.
        traced: What tells the upstream of the trace, in place of the client's.
    """
    dropped = not_on | _named_hops(headers)
    dropped |= {*_CREDENTIALS} if api_key else {credential.encode()}
    if collecting:
        dropped |= {b"accept-encoding"}
    context = [(name.encode(), value.encode()) for name, value in traced]
    dropped |= {name for name, _ in context}
    kept = [pair for pair in headers if pair[0] not in dropped]
    if api_key:
        kept.append((b"authorization", b"Bearer " + api_key))
    if collecting:
        kept.append((b"accept-encoding", b"identity"))
    return kept + context


def to_client(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The upstream's headers for the client; its request id under another name, for this service has its own.

    A length beside ``transfer-encoding`` counts for nothing, as RFC 9112 has it, and would cut the answer off here.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    dropped = _NOT_BACK | _named_hops(lowered)
    if any(name == b"transfer-encoding" for name, _ in lowered):
        dropped |= {b"content-length"}
    return [
        (b"x-upstream-request-id" if name == b"x-request-id" else name, value)
        for name, value in lowered
        if name not in dropped
    ]


def of_memory(outcome: Outcome | None) -> list[tuple[bytes, bytes]]:
    """What memory did, for the client; nothing where it was not asked."""
    if outcome is None:
        return []
    milliseconds = outcome.explain.seconds.get("total", 0.0) * 1000
    return [
        (b"x-router-memory-status", outcome.status.value.encode()),
        (b"x-router-memory-reason", outcome.reason.value.encode()),
        (b"x-router-memory-count", b"%d" % len(outcome.memories)),
        (b"x-router-memory-ms", b"%.2f" % milliseconds),
    ]


def _named_hops(headers: Headers) -> set[bytes]:
    """Headers that the sender names as meant for the next hop alone."""
    return {
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    } - {b""}
