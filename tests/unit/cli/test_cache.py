"""What an operator sees of the hot cache: its server's state, its clearing, and what other commands say of it."""

from __future__ import annotations

import asyncio
import io
import socket
from typing import TYPE_CHECKING

import pytest

from router_memory import MemoryPlugin, Scope
from router_memory.config import load_config
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.unit.cli.conftest import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server
    from tests.unit.cli.conftest import Cli

ANN, BOB = Scope("ann"), Scope("bob")
BOUNDED = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
DATABASE = "1"
SERVER_KEYS = {
    "location",
    "version",
    "users",
    "entries",
    "vectors",
    "bytes",
    "limit_bytes",
    "used_bytes",
    "policy",
    "evicted",
    "expired",
    "round_trip",
}
KEYS = {
    "file",
    "enabled",
    "coherence",
    "epoch_max_age_ms",
    "ttl_seconds",
    "embedding_ttl_seconds",
    "local_mb",
    "local_entries",
    "server",
}


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


def configure(config: Path, port: int | None = None, **more: str) -> None:
    """Turns the cache on, with a server at this port, in database 1."""
    server = {} if port is None else {"address": f"'127.0.0.1:{port}'", "db": DATABASE, "cache_timeout_ms": "5000"}
    keys = ", ".join(f"{key}: {value}" for key, value in {"enabled": "true", **server, **more}.items())
    config.write_text(f"{CONFIG}      redis_cache: {{{keys}}}\n")


def fill(config: Path, *scopes: Scope) -> None:
    """Adds a memory to each scope and searches for it, until the server has the answers."""

    async def work() -> None:
        async with MemoryPlugin(Assembly(load_config(config), HashingEmbedder)) as memory:
            for scope in scopes:
                await memory.add(scope, "prefers aisle seats")
                await memory.recollect(scope, f"seats of {scope.user_id}", threshold=0.0)
            while True:
                held = await memory.cache_server_stats()
                assert held is not None
                if (held.entries, held.vectors) == (len(scopes), len(scopes)):
                    return
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(work(), 30))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def server(own_server: OwnServer, config: Path) -> Server:
    """A server that the configuration names as its cache."""
    started = own_server(config=BOUNDED)
    configure(config, started.port)
    return started


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which connections are refused."""
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_stats_shows_what_the_server_holds(cli: Cli, config: Path, server: Server) -> None:
    fill(config, ANN, BOB)
    ran = cli("cache", "stats")
    assert (ran.code, ran.err) == (0, "")
    out = words(ran.out)
    assert f"server 127.0.0.1:{server.port}/1, " in out
    assert "answers 2 of 2 users" in out
    assert "query vectors 2" in out
    assert "of 100.0 MiB, policy allkeys-lru" in out
    assert "coherence strict: every write shows at once" in out
    assert "MemoryPlugin.cache_stats()" in out


def test_stats_as_json_has_one_schema(cli: Cli, config: Path, server: Server) -> None:
    fill(config, ANN)
    found = cli("cache", "stats", "--json").json
    assert set(found) == KEYS
    assert set(found["server"]) == SERVER_KEYS
    assert (found["server"]["users"], found["server"]["entries"], found["server"]["vectors"]) == (1, 1, 1)
    assert found["server"]["location"] == f"127.0.0.1:{server.port}/1"
    assert (found["coherence"], found["epoch_max_age_ms"]) == ("strict", 0)
    configure(config)
    found = cli("cache", "stats", "--json").json
    assert set(found) == KEYS
    assert (found["enabled"], found["server"]) == (True, None)


def test_stats_says_what_bounded_means(cli: Cli, config: Path, server: Server) -> None:
    configure(config, server.port, coherence="bounded", epoch_max_age_ms="250", local_mb="0", embedding_ttl_seconds="0")
    out = words(cli("cache", "stats").out)
    assert "bounded: another process's write may show 250 ms later" in out
    assert "query vectors not kept" in out
    assert "level 1 off" in out
    assert cli("cache", "stats", "--json").json["epoch_max_age_ms"] == 250


def test_a_cache_without_a_server_is_said_in_one_line(cli: Cli, config: Path) -> None:
    off = cli("cache", "stats")
    assert (off.code, words(off.out)) == (0, "the hot cache is off (redis_cache.enabled: false)")
    configure(config)
    alone = cli("cache", "stats")
    assert alone.code == 0
    assert "level 1 alone" in alone.out
    assert "MemoryPlugin.cache_stats()" in words(alone.out)


@pytest.mark.parametrize("on", [False, True])
def test_without_a_server_there_is_nothing_to_clear_and_nobody_is_asked(cli: Cli, config: Path, on: bool) -> None:
    if on:
        configure(config)
    for arguments in ([], ["--user", "ann"], ["--yes"]):
        ran = cli("cache", "clear", *arguments)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith("nothing to clear: the hot cache ")
    assert cli("cache", "clear", "--json").json == {"server": None, "user": None, "keys": None}


@pytest.mark.parametrize("command", [["stats"], ["clear", "--yes"], ["clear", "--user", "ann"]])
def test_a_server_that_is_away_is_exit_code_3(cli: Cli, config: Path, nobody: int, command: list[str]) -> None:
    configure(config, nobody)
    ran = cli("cache", *command)
    assert (ran.code, ran.out) == (3, "")
    assert "no connection to the server" in ran.error
    assert "check that the server runs" in ran.error


@pytest.mark.parametrize("command", [["stats"], ["clear", "--yes"], ["clear", "--user", "ann"]])
def test_a_wrong_password_is_exit_code_1(cli: Cli, config: Path, own_server: OwnServer, command: list[str]) -> None:
    configure(config, own_server(config={"requirepass": "right"}).port, password="wrong")
    ran = cli("cache", *command)
    assert (ran.code, ran.out) == (1, "")
    assert "wrong user name or password" in ran.error


def test_neither_store_nor_model_is_opened(
    cli: Cli, config: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("router_memory.backends.embedded.EmbeddedStore.open", never)
    monkeypatch.setattr(HashingEmbedder, "identify", never)
    for command in (["stats"], ["clear", "--user", "ann"], ["clear", "--yes"]):
        assert cli("cache", *command).code == 0
    assert not config.with_name("memory.db").exists()
    assert server.ask("PING") == b"PONG"


def test_clear_empties_the_cache_and_leaves_memories(cli: Cli, config: Path, server: Server) -> None:
    fill(config, ANN, BOB)
    ran = cli("cache", "clear", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"cleared 4 keys on 127.0.0.1:{server.port}/1\n")
    assert "level 1 of running processes ends within 300 s and serves nothing stale" in words(ran.out)
    found = cli("cache", "stats", "--json").json["server"]
    assert (found["users"], found["entries"], found["vectors"]) == (0, 0, 0)
    assert cli("list", "--json").json["total"] == 1
    assert cli("cache", "clear", "--yes", "--json").json["keys"] == 0


def test_clear_takes_one_user_without_asking(cli: Cli, config: Path, server: Server) -> None:
    fill(config, ANN, BOB)
    ran = cli("cache", "clear", "--user", "ann")
    assert (ran.code, ran.err) == (0, "")
    assert f"cleared the answers of ann on 127.0.0.1:{server.port}/1" in ran.out
    assert "query vectors belong to no user and stay" in words(ran.out)
    found = cli("cache", "stats", "--json").json["server"]
    assert (found["users"], found["entries"], found["vectors"]) == (1, 1, 2)
    asked = cli("cache", "clear", "--user", "bob", "--json").json
    assert asked == {"server": f"127.0.0.1:{server.port}/1", "user": "bob", "keys": None}
    assert cli("cache", "stats", "--json").json["server"]["users"] == 0


def test_a_user_that_cannot_be_one_is_refused(cli: Cli, config: Path, nobody: int) -> None:
    configure(config, nobody)
    assert cli("cache", "clear", "--user", " ").code == 2


@pytest.mark.parametrize(("answer", "left", "code"), [("y\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1)])
def test_clear_asks_on_a_terminal(
    cli: Cli, config: Path, server: Server, monkeypatch: pytest.MonkeyPatch, answer: str, left: int, code: int
) -> None:
    fill(config, ANN)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    ran = cli("cache", "clear")
    assert ran.code == code
    assert f"Clear all under memory_cache: on 127.0.0.1:{server.port}/1?" in ran.err
    assert cli("cache", "stats", "--json").json["server"]["users"] == left


def test_clear_without_a_terminal_needs_yes(
    cli: Cli, config: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(config, ANN)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ran = cli("cache", "clear")
    assert (ran.code, ran.out) == (2, "")
    assert "--yes" in ran.error
    assert server.ask("PING") == b"PONG"
    assert cli("cache", "stats", "--json").json["server"]["users"] == 1


def test_a_search_explains_which_level_answered(cli: Cli, config: Path, added: Callable[..., str]) -> None:
    added("prefers aisle seats")
    line = "search", "aisle seats", "--explain"
    assert not any(text.startswith("cache ") for text in cli(*line).out.splitlines())
    assert cli(*line, "--json").json["cache"] == "off"
    configure(config)
    assert any("miss: the store was searched" in text for text in cli(*line).out.splitlines())
    assert cli(*line, "--json").json["cache"] == "miss"


def test_a_search_is_answered_by_the_server(cli: Cli, config: Path, server: Server) -> None:
    fill(config, ANN)
    line = "search", "seats of ann", "--threshold", "0", "--explain"
    out = cli(*line).out
    assert "level 2, on the server, answered" in out
    explained = cli(*line, "--json").json
    assert explained["cache"] == "level 2"
    assert "cache" in explained["seconds"]
    assert "embed" not in explained["seconds"]
    assert [hit["record"]["content"] for hit in explained["hits"]] == ["prefers aisle seats"]
    assert server.ask("PING") == b"PONG"


@pytest.mark.parametrize("paused", [0, 300])
@pytest.mark.parametrize("how", ["all", "id", "update"])
def test_what_is_forgotten_leaves_a_server_that_is_slower_than_a_request_waits(
    cli: Cli, config: Path, server: Server, how: str, paused: int
) -> None:
    fill(config, ANN, BOB)
    configure(config, server.port, cache_timeout_ms="20")
    id = cli("list", "--json").json["records"][0]["id"]  # noqa: A001 - the field's own name
    arguments = {
        "all": ["forget", "--all", "--yes"],
        "id": ["forget", id],
        "update": ["update", id, "--content", "prefers window seats"],
    }
    server.ask("CLIENT", "PAUSE", str(paused))
    ran = cli(*arguments[how])
    assert (ran.code, ran.err) == (0, "")
    assert cli("cache", "stats", "--json").json["server"]["users"] == 1


def test_forgetting_says_when_the_server_could_not_be_told(
    cli: Cli, config: Path, nobody: int, added: Callable[..., str]
) -> None:
    added("prefers aisle seats")
    configure(config, nobody)
    ran = cli("forget", "--all", "--yes")
    assert (ran.code, ran.out) == (0, "forgot 1 memory\n")
    assert "the hot cache's server could not be told" in ran.err
    assert ran.err.count("\n") == 1


def test_config_check_shows_the_cache(cli: Cli, config: Path, nobody: int) -> None:
    def shown() -> str:
        return str(cli("config", "check", "--json").json["store"]["cache"])

    assert shown() == "off"
    configure(config)
    assert shown() == "strict, level 1 of 64 MiB"
    configure(config, nobody)
    assert shown() == f"strict, level 1 of 64 MiB and level 2 on 127.0.0.1:{nobody}/1"
    configure(config, nobody, local_mb="0", coherence="bounded", password="hunter2hunter2")
    assert shown() == f"bounded, level 2 on 127.0.0.1:{nobody}/1"
    assert "hunter2" not in cli("config", "check").out


def findings(cli: Cli) -> tuple[int, dict[str, str]]:
    """The exit code of `doctor`, and the status of each of its findings about the cache, in order."""
    ran = cli("doctor", "--json")
    assert ran.err == ""
    names = {finding["name"]: finding["status"] for finding in ran.json["findings"]}
    assert len(names) == len(ran.json["findings"])
    return ran.code, {name: status for name, status in names.items() if name.startswith("cache")}


class TestDoctor:
    def test_a_cache_that_is_well_comes_last(self, cli: Cli, server: Server) -> None:
        code, found = findings(cli)
        assert code == 0
        assert next(iter(found)) == "cache"
        assert set(found.values()) == {"ok"}
        everything = [finding["name"] for finding in cli("doctor", "--json").json["findings"]]
        assert everything[-len(found) :] == list(found)
        assert server.ask("INFO", "keyspace") == b"# Keyspace\r\n"

    def test_a_server_that_is_away_is_no_failure(self, cli: Cli, config: Path, nobody: int) -> None:
        configure(config, nobody)
        assert findings(cli) == (0, {"cache": "warn"})
        assert "no connection to the server" in words(cli("doctor").out)

    def test_a_wrong_password_is_no_failure(self, cli: Cli, config: Path, own_server: OwnServer) -> None:
        configure(config, own_server(config={"requirepass": "right"}).port, password="wrong")
        assert findings(cli) == (0, {"cache login": "warn"})

    def test_a_full_server_is_no_failure(self, cli: Cli, server: Server) -> None:
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "maxmemory", "100kb")
        code, found = findings(cli)
        assert (code, found["cache rights"], found["cache policy"]) == (0, "warn", "warn")

    def test_the_cache_is_looked_at_where_the_store_is_away(
        self, cli: Cli, config: Path, server: Server, nobody: int
    ) -> None:
        cache = f"{{enabled: true, address: '127.0.0.1:{server.port}', db: {DATABASE}}}"
        valkey = f"{{host: 127.0.0.1, port: {nobody}, timeout: 2}}"
        memory = f"{{enabled: true, backend: valkey, valkey: {valkey}, redis_cache: {cache}}}"
        config.write_text(f"global: {{stores: {{memory: {memory}}}}}")
        code, found = findings(cli)
        assert code == 3
        assert found["cache"] == "ok"

    def test_settings_that_do_not_fit_together_are_a_finding(
        self, cli: Cli, config: Path, nobody: int, tmp_path: Path
    ) -> None:
        authority = tmp_path / "ca.pem"
        authority.write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
        configure(config, nobody, tls_enabled="true", tls_ca_path=str(authority))
        code, found = findings(cli)
        assert code == 0
        assert set(found.values()) == {"warn"}
