"""What a connection is made with, and how glide is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from glide import GlideClientConfiguration, GlideClusterClientConfiguration, TlsAdvancedConfiguration

__all__ = ["ReadFrom", "Settings", "Tls", "cluster_configuration", "milliseconds", "server_configuration"]

ReadFrom: TypeAlias = Literal["primary", "prefer_replica"]

_CONNECT_SECONDS = 1.0  # of a cluster with a dead node glide's first connection takes twice as long
_RECONNECT_MS = 100  # glide waits this, then twice this, then that for ever; with its jitter below 300 ms
_RECONNECT_STEPS = 2
_RECONNECT_BASE = 2
_RECONNECT_JITTER_PERCENT = 20
_IN_FLIGHT = 4_000


@dataclass(frozen=True, slots=True)
class Tls:
    """How the connection is encrypted.

    Args:
        ca: PEM of the certificates that may sign the server's; None for those of the system.
        insecure: Whether any certificate is taken, unverified.
        certificate: PEM of the client's certificate, for servers that ask for one.
        key: PEM of its key.
    """

    ca: bytes | None = None
    insecure: bool = False
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every client of a connection is made with; see `Connection`."""

    addresses: tuple[tuple[str, int], ...]
    cluster: bool
    database: int
    username: str
    password: str = field(repr=False)
    tls: Tls | None
    timeout: float
    read_from: ReadFrom
    client_name: str

    @property
    def location(self) -> str:
        """What errors call the server: ``host:port/database``."""
        return f"{','.join(f'{host}:{port}' for host, port in self.addresses)}/{self.database}"

    def on_primaries(self) -> Settings:
        """The same for clients that read from primaries alone: glide asks a replica in a scan else."""
        return replace(self, read_from="primary")

    @property
    def connect_seconds(self) -> float:
        """The longest a connection to one node may take to be made."""
        return min(self.timeout, _CONNECT_SECONDS)


def server_configuration(settings: Settings) -> GlideClientConfiguration:
    """For a client of a single server, or of a primary with its replicas.

    Raises:
        ConfigurationError: glide's; the settings do not fit together.
    """
    from glide import AdvancedGlideClientConfiguration, GlideClientConfiguration

    advanced = AdvancedGlideClientConfiguration(
        connection_timeout=milliseconds(settings.connect_seconds), tls_config=_encryption(settings.tls)
    )
    return GlideClientConfiguration(advanced_config=advanced, **_in_common(settings))


def cluster_configuration(settings: Settings) -> GlideClusterClientConfiguration:
    """For a client of a cluster.

    Raises:
        ConfigurationError: glide's; the settings do not fit together.
    """
    from glide import AdvancedGlideClusterClientConfiguration, GlideClusterClientConfiguration

    advanced = AdvancedGlideClusterClientConfiguration(
        connection_timeout=milliseconds(settings.connect_seconds), tls_config=_encryption(settings.tls)
    )
    return GlideClusterClientConfiguration(advanced_config=advanced, **_in_common(settings))


def milliseconds(seconds: float) -> int:
    """What glide takes for a time; it refuses 0."""
    return max(1, round(seconds * 1000))


def _in_common(settings: Settings) -> dict[str, Any]:
    """What the configurations of both kinds of client have in common."""
    from glide import BackoffStrategy, NodeAddress, ProtocolVersion, ReadFrom, ServerCredentials

    reads = ReadFrom.PREFER_REPLICA if settings.read_from == "prefer_replica" else ReadFrom.PRIMARY
    credentials = ServerCredentials(settings.password, settings.username or None) if settings.password else None
    return {
        "addresses": [NodeAddress(host, port) for host, port in settings.addresses],
        "use_tls": settings.tls is not None,
        "credentials": credentials,
        "read_from": reads,
        "request_timeout": milliseconds(settings.timeout),
        "reconnect_strategy": BackoffStrategy(
            _RECONNECT_STEPS, _RECONNECT_MS // _RECONNECT_BASE, _RECONNECT_BASE, _RECONNECT_JITTER_PERCENT
        ),
        "database_id": settings.database,
        "client_name": settings.client_name,
        "protocol": ProtocolVersion.RESP3,
        "inflight_requests_limit": _IN_FLIGHT,
        "lazy_connect": True,  # making a connected client would block the loop meanwhile
    }


def _encryption(tls: Tls | None) -> TlsAdvancedConfiguration | None:
    from glide import TlsAdvancedConfiguration

    if tls is None:
        return None
    return TlsAdvancedConfiguration(
        use_insecure_tls=tls.insecure or None,
        root_pem_cacerts=tls.ca,
        client_cert_pem=tls.certificate,
        client_key_pem=tls.key,
    )
