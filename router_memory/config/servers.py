"""The sections of the servers: `valkey`, the store, and `redis_cache`, the hot cache, whose second level is one."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from router_memory.config.headers import check_host
from router_memory.config.section import Section, problem
from router_memory.types.names import name_fault, prefix_fault

__all__ = ["RedisCacheSection", "ServerSection", "ValkeySection"]

Port = Annotated[int, Field(ge=1, le=65_535)]
Database = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(ge=0.01, le=3600)]

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+(%\w+)?\]):(?P<port>[0-9]{1,5})")
_CLIENT_NAME = re.compile(r"[!-~]+")  # what CLIENT SETNAME takes


def _host_and_port(address: str) -> tuple[str, int] | None:
    """The parts of ``host:port`` or ``[IPv6]:port``; None when it is neither."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 1 <= int(match["port"]) <= 65_535:
        return None
    return match["host"].strip("[]"), int(match["port"])


def _check_address(address: str, key: str = "") -> None:
    if _host_and_port(address) is None:
        # The value is not shown: people put URLs with passwords here.
        raise problem("is not host:port", hint="such as localhost:6379, without a scheme or a password", key=key)


def _check_fault(fault: str) -> None:
    if fault:
        raise problem(fault)


def _check_client_name(name: str) -> None:
    if not _CLIENT_NAME.fullmatch(name):
        raise problem("must be printable ASCII without blanks")


class ServerSection(Section):
    """What both servers have in common: who connects, and how the connection is protected."""

    username: str = ""
    password: SecretStr = SecretStr("")
    password_file: str = ""
    tls_enabled: bool = False
    tls_ca_path: str = ""
    tls_insecure_skip_verify: bool = False
    client_cert_path: str = ""
    client_key_path: str = ""

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.password_file and self.password.get_secret_value():
            raise problem("password and password_file are both set", hint="keep one", key=".password_file")
        if bool(self.client_cert_path) != bool(self.client_key_path):
            missing = "client_key_path" if self.client_cert_path else "client_cert_path"
            raise problem("a client certificate needs both its paths", hint=f"set {missing}", key=f".{missing}")
        return self


class ValkeySection(ServerSection):
    """A Valkey server or cluster with the Search module."""

    host: str = "localhost"
    port: Port = 6379
    database: Database = 0
    timeout: Seconds = 10.0
    collection_prefix: str = "mem:"
    index_name: str = "mem_idx"
    dimension: Annotated[int, Field(ge=1, le=32_768)] = 384
    metric_type: Literal["COSINE", "L2", "IP"] = "COSINE"
    index_type: Literal["flat", "hnsw"] = "flat"
    index_m: Annotated[int, Field(ge=2, le=512)] = 16
    index_ef_construction: Annotated[int, Field(ge=1, le=4096)] = 256
    ef_runtime: Annotated[int, Field(ge=1, le=4096)] = 200
    promote_at: Annotated[int, Field(ge=1, le=10_000_000)] = 5_000
    max_promoted: Annotated[int, Field(ge=0, le=10_000)] = 64
    cluster: bool = False
    addresses: tuple[str, ...] = ()
    read_from: Literal["primary", "prefer_replica"] = "primary"
    decoded_mb: Annotated[int, Field(ge=0, le=1_048_576)] = 64
    search_clients: Annotated[int, Field(ge=1, le=16)] = 2
    client_name: str = "router-memory"

    @field_validator("host")
    @classmethod
    def _host(cls, host: str) -> str:
        check_host(host)
        return host

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for index, address in enumerate(addresses):
            _check_address(address, key=f"[{index}]")
        return addresses

    @field_validator("collection_prefix")
    @classmethod
    def _collection_prefix(cls, prefix: str) -> str:
        _check_fault(prefix_fault(prefix))
        return prefix

    @field_validator("index_name")
    @classmethod
    def _index_name(cls, name: str) -> str:
        _check_fault(name_fault(name))
        return name

    @field_validator("client_name")
    @classmethod
    def _client_name(cls, name: str) -> str:
        _check_client_name(name)
        return name

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each node to begin with: `addresses`, or `host` and `port` where there are none."""
        seeds = (_host_and_port(address) for address in self.addresses)
        return tuple(seed for seed in seeds if seed is not None) or ((self.host, self.port),)


class RedisCacheSection(ServerSection):
    """The hot cache: level 1 in the process, level 2 on a Valkey or Redis server that all processes share."""

    enabled: bool = False
    address: str = ""
    cluster: bool = False
    db: Database = 0
    key_prefix: str = "memory_cache:"
    client_name: str = "router-memory-cache"
    cache_timeout_ms: Annotated[int, Field(ge=1, le=10_000)] = 20
    coherence: Literal["strict", "bounded"] = "strict"
    epoch_max_age_ms: Annotated[int, Field(ge=1, le=60_000)] = 100
    ttl_seconds: Annotated[int, Field(ge=1, le=604_800)] = 300
    embedding_ttl_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 86_400
    local_mb: Annotated[int, Field(ge=0, le=1_048_576)] = 64
    local_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000

    @field_validator("address")
    @classmethod
    def _address(cls, address: str) -> str:
        if address:
            _check_address(address)
        return address

    @field_validator("key_prefix")
    @classmethod
    def _prefix(cls, prefix: str) -> str:
        _check_fault(name_fault(prefix))
        return prefix

    @field_validator("client_name")
    @classmethod
    def _client_name(cls, name: str) -> str:
        _check_client_name(name)
        return name

    @model_validator(mode="after")
    def _has_a_level(self) -> Self:
        if self.enabled and not self.address and not self.local_mb:
            raise problem(
                "nothing would be cached: there is no address, and local_mb is 0",
                hint="set one of the two, or enabled: false",
                key=".enabled",
            )
        return self

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port of level 2, whether the cache is enabled or not; None when there is no level 2."""
        return _host_and_port(self.address)
