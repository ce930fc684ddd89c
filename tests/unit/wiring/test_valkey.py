"""What the `valkey` section comes to, and that nobody else pays for its client."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.errors import ConfigError, EmbeddingError
from router_memory.wiring import Assembly, assemble
from tests.doubles import HashingEmbedder

if TYPE_CHECKING:
    from pathlib import Path

PEM = "-----BEGIN CERTIFICATE-----"


@dataclass
class Told:
    """What a class was called with."""

    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


class Store(Told):
    """A store that only opens and closes."""

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""


def recorded(kind: type[Told]) -> Any:
    return lambda *args, **options: kind(args, options)


@pytest.fixture(autouse=True)
def _backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the real backend, one that records what it is told."""
    fake = ModuleType("router_memory.backends.valkey")
    for name, kind in {"Connection": Told, "Tls": Told, "ValkeyStore": Store}.items():
        setattr(fake, name, recorded(kind))
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr("router_memory.wiring.BertEmbedder", lambda *_, **__: HashingEmbedder())


def assembly(**valkey: object) -> Assembly:
    section = {"enabled": True, "backend": "valkey", "valkey": valkey}
    return assemble({"global": {"stores": {"memory": section}}})


async def told(**valkey: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the connection and the store were given."""
    parts = assembly(**valkey)
    await parts.open(warm=False)
    store = parts.store
    await parts.close()
    assert isinstance(store, Told)
    return store.args[0].options, store.options


async def test_the_defaults() -> None:
    connection, store = await told()
    assert connection == {
        "addresses": (("localhost", 6379),),
        "cluster": False,
        "database": 0,
        "username": "",
        "password": "",
        "tls": None,
        "timeout": 10.0,
        "read_from": "primary",
        "client_name": "router-memory",
        "search_clients": 2,
    }
    assert store == {
        "dimension": HashingEmbedder.dimension,
        "fingerprint": HashingEmbedder.fingerprint,
        "prefix": "mem:",
        "index_name": "mem_idx",
        "index_type": "flat",
        "metric": "COSINE",
        "m": 16,
        "ef_construction": 256,
        "ef_runtime": 200,
        "promote_at": 5_000,
        "max_promoted": 64,
        "decoded_bytes": 64 << 20,
    }


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ({"host": "db", "port": 7000}, "addresses", (("db", 7000),)),
        ({"addresses": ["a:1", "b:2"], "cluster": True}, "addresses", (("a", 1), ("b", 2))),
        ({"cluster": True}, "cluster", True),
        ({"database": 3}, "database", 3),
        ({"username": "router", "password": "p"}, "username", "router"),
        ({"password": "p"}, "password", "p"),
        ({"timeout": 0.5}, "timeout", 0.5),
        ({"cluster": True, "read_from": "prefer_replica"}, "read_from", "prefer_replica"),
        ({"read_from": "prefer_replica"}, "read_from", "primary"),
        ({"client_name": "gateway-3"}, "client_name", "gateway-3"),
        ({"search_clients": 4}, "search_clients", 4),
    ],
)
async def test_a_key_of_the_connection(section: dict[str, object], name: str, value: object) -> None:
    assert (await told(**section))[0][name] == value


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        ("collection_prefix", "prefix", "other:"),
        ("index_name", "index_name", "other_idx"),
        ("index_type", "index_type", "hnsw"),
        ("metric_type", "metric", "IP"),
        ("index_m", "m", 32),
        ("index_ef_construction", "ef_construction", 400),
        ("ef_runtime", "ef_runtime", 50),
        ("promote_at", "promote_at", 500),
        ("max_promoted", "max_promoted", 0),
        ("decoded_mb", "decoded_bytes", 0),
    ],
)
async def test_a_key_of_the_store(key: str, name: str, value: object) -> None:
    assert (await told(**{key: value}))[1][name] == value


async def test_a_password_file_is_read_when_the_store_is_made(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    parts = assembly(password_file=str(file))
    file.write_text("second\n")
    await parts.open(warm=False)
    assert isinstance(parts.store, Told)
    assert parts.store.args[0].options["password"] == "second"
    await parts.close()


async def test_certificates_are_handed_over_as_what_stands_in_their_files(tmp_path: Path) -> None:
    files = {key: tmp_path / key for key in ("tls_ca_path", "client_cert_path", "client_key_path")}
    for key, file in files.items():
        file.write_text(f"{PEM}{key}")
    section: dict[str, object] = {key: str(file) for key, file in files.items()}
    tls = (await told(tls_enabled=True, **section))[0]["tls"]
    assert tls.options == {
        "ca": f"{PEM}tls_ca_path".encode(),
        "insecure": False,
        "certificate": f"{PEM}client_cert_path".encode(),
        "key": f"{PEM}client_key_path".encode(),
    }


async def test_encryption_needs_no_certificate_of_ours() -> None:
    tls = (await told(tls_enabled=True, tls_insecure_skip_verify=True))[0]["tls"]
    assert tls.options == {"ca": None, "insecure": True, "certificate": None, "key": None}


async def test_a_certificate_that_went_away_names_key_and_file(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(PEM)
    parts = assembly(tls_enabled=True, tls_ca_path=str(file))
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        await parts.open(warm=False)
    assert caught.value.key_path == "global.stores.memory.valkey.tls_ca_path"
    assert str(file) in caught.value.message


async def test_a_dimension_in_the_file_must_be_the_models() -> None:
    assert (await told(dimension=HashingEmbedder.dimension))[1]["dimension"] == HashingEmbedder.dimension
    with pytest.raises(ConfigError, match=r"768 is not the dimension of the model 'bert', which is 64") as caught:
        await told(dimension=768)
    assert caught.value.key_path == "global.stores.memory.valkey.dimension"


async def test_without_the_model_the_store_takes_what_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(_: HashingEmbedder) -> None:
        raise EmbeddingError("there is no such model")

    monkeypatch.setattr(HashingEmbedder, "identify", missing)
    store = (await told(dimension=768))[1]
    assert (store["dimension"], store["fingerprint"]) == (None, None)


def test_the_embedded_user_loads_no_client_of_a_server(tmp_path: Path) -> None:
    code = (
        "import sys, asyncio\n"
        "from router_memory.wiring import assemble\n"
        f"section = {{'enabled': True, 'embedded': {{'path': {str(tmp_path / 'm.db')!r}}}}}\n"
        "asyncio.run(assemble({'global': {'stores': {'memory': section}}}).open(warm=False))\n"
        "print([name for name in sys.modules if name.startswith(('glide', 'router_memory.backends.valkey'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
