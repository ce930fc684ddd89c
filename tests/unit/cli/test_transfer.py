"""export and import: what they write, what they refuse, and that nothing is lost."""

from __future__ import annotations

import io
import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.cli.entry import run
from router_memory.errors import BackendTimeout, EmbeddingError
from router_memory.storage.portable import FORMAT
from tests.doubles import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.conftest import Cli

ROOT = Path(__file__).parents[3]
MAIN = "from router_memory.cli import main; main()"


def line(number: int, **fields: Any) -> str:
    values = {"format": FORMAT, "id": f"{number:032x}", "user_id": "ann", "content": f"memory number {number}"}
    return json.dumps(values | {"created_at": "2026-03-01T12:00:00Z"} | fields)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Writes lines into a file and gives its name."""

    def write(*lines: str, end: str = "\n") -> str:
        path = tmp_path / "lines.ndjson"
        path.write_text("\n".join(lines) + end)
        return str(path)

    return write


@pytest.fixture
def other(config: Path) -> str:
    """A second configuration with a store of its own."""
    path = config.with_name("other.yaml")
    path.write_text(config.read_text().replace("memory.db", "other.db"))
    return str(path)


def exported(cli: Cli, *arguments: str) -> list[dict[str, Any]]:
    ran = cli("export", *arguments)
    assert (ran.code, ran.err) == (0, "")
    return [json.loads(text) for text in ran.out.splitlines()]


def test_memories_move_to_another_store(cli: Cli, added: Callable[..., str], other: str, tmp_path: Path) -> None:
    """They are the same there, and a second time nothing happens."""
    added("I take the aisle seat", "--speaker", "Ann", "--project", "p")
    added("über \u2028 \x1b[31m 🦊", "--user", "bob", "--type", "episodic")
    target = tmp_path / "out.ndjson"
    ran = cli("export", "--all", "--output", str(target))
    assert (ran.code, ran.out, ran.err) == (0, "exported 2 memories of 2 users\n", "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    ran = cli("import", str(target), "--config", other)
    assert (ran.code, ran.out, ran.err) == (0, "2 memories stored, 0 there already, 0 refused\n", "")
    assert "0 memories stored, 2 there already" in cli("import", str(target), "--config", other).out
    assert sorted(map(str, exported(cli, "--all", "--config", other))) == sorted(map(str, exported(cli, "--all")))
    assert cli("search", "aisle seat", "--config", other, "--json").json["hits"]


def test_whose_memories_are_exported(cli: Cli, added: Callable[..., str]) -> None:
    """One user's, several users', one project's, everybody's."""
    added("one")
    added("two", "--project", "p")
    added("three", "--user", "bob")

    def contents(*arguments: str) -> set[str]:
        return {each["content"] for each in exported(cli, *arguments)}

    assert contents("--user", "ann") == {"one", "two"}
    assert contents("--user", "ann", "--project", "p") == {"two"}
    assert contents("--user", "ann", "--user", "bob", "--user", "ann") == {"one", "two", "three"}
    assert contents("--all", "--output", "-") == {"one", "two", "three"}
    assert len(exported(cli, "--user", "ann", "--user", "ann")) == 2


def test_a_user_without_memories_is_named(cli: Cli, added: Callable[..., str]) -> None:
    """It may be a mistyped id."""
    added("one")
    ran = cli("export", "--user", "nobody", "--user", "ann")
    assert ran.code == 0
    assert ran.err == "router-memory: nobody has no memories\n"
    assert ran.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export"], "nothing to export: give --user or --all"),
        (["export", "--all", "--user", "ann"], "--all excludes --user"),
        (["export", "--all", "--project", "p"], "--all excludes --user and --project"),
        (["export", "--user", " "], "user_id must not be empty"),
        (["import"], "Missing argument 'FILE'"),
        (["import", "/no/such/file"], "/no/such/file: cannot be read: No such file"),
        (["import", "/"], "cannot be read: Is a directory"),
        (["import", "-", "--config", "/no/such.yaml"], "there is no such file"),
        (["import", "-", "--dry-run", "--config", "/no/such.yaml"], "there is no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(cli: Cli, arguments: list[str], message: str) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.error


def test_a_folder_that_is_not_there_is_named(cli: Cli, added: Callable[..., str]) -> None:
    added("one")
    ran = cli("export", "--all", "--output", "/no/such/folder")
    assert (ran.code, ran.error) == (1, "No such file or directory: /no/such/folder")


def test_lines_that_are_no_memories_are_refused_and_the_others_stored(cli: Cli, file: Callable[..., str]) -> None:
    """Each with its number and the reason, and without its content."""
    name = file(
        line(1),
        "",
        "half a {",
        line(2, format="router-memory/2"),
        line(3, content="secret\0"),
        json.dumps({"hello": "world"}),
        line(4, color="red", importance=1),
        line(1),
        line(5)[:-20],
        end="",
    )
    ran = cli("import", name, "--json")
    assert ran.code == 1
    assert ran.json == {
        "dry_run": False,
        "lines": 8,
        "memories": 3,
        "stored": 2,
        "merged": 1,
        "refused": 5,
        "refusals": [
            {"line": 3, "reason": "is not JSON: Expecting value (column 1)"},
            {
                "line": 4,
                "reason": "has the form 'router-memory/2', this version reads 'router-memory/1' (import it with the "
                "version of router-memory that wrote it)",
            },
            {"line": 5, "reason": "content must not hold NUL"},
            {"line": 6, "reason": "is no exported memory: its format is not 'router-memory/1'"},
            {
                "line": 9,
                "reason": "is not JSON: Unterminated string starting at (column 135); the input ends within the line",
            },
        ],
        "unknown_fields": {"color": 1},
    }
    shown = ran.err.splitlines()
    assert shown[0] == "router-memory: line 3: is not JSON: Expecting value (column 1)"
    assert shown[-2] == "router-memory: fields that mean nothing here were ignored: color (1)"
    assert shown[-1] == "router-memory: error: 5 of 8 lines refused (see above; the others are not affected)"
    assert "secret" not in ran.err
    assert [each["content"] for each in exported(cli, "--all")] == ["memory number 4", "memory number 1"]


def test_a_file_of_something_else_does_not_flood_the_terminal(cli: Cli, config: Path, added: Any) -> None:
    """A database, for example."""
    added("one")
    database = config.with_name("memory.db")
    ran = cli("import", str(database))
    assert ran.code == 1
    assert len(ran.err.splitlines()) <= 22
    assert len(exported(cli, "--all")) == 1


def test_a_dry_run_checks_and_opens_no_store(cli: Cli, config: Path, file: Callable[..., str]) -> None:
    ran = cli("import", file(line(1), line(2), line(1)), "--dry-run")
    assert (ran.code, ran.out) == (0, "3 memories to import, 0 refused; nothing was stored\n")
    assert not config.with_name("memory.db").exists()
    ran = cli("import", file(line(1), "x"), "--dry-run", "--json")
    assert (ran.code, ran.json["memories"], ran.json["refused"], ran.json["stored"]) == (1, 1, 1, 0)


def test_an_empty_file_is_an_empty_export(cli: Cli, file: Callable[..., str]) -> None:
    assert cli("import", file(end="")).out == "0 memories stored, 0 there already, 0 refused\n"


def test_import_reads_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line(1).encode())))
    assert cli("import", "-").out == "1 memory stored, 0 there already, 0 refused\n"


def test_a_store_that_fails_half_way_says_how_far_it_came(
    cli: Cli, file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored stays, and the next run does the rest."""
    from router_memory.pipeline.remember import Remember

    name = file(*map(line, range(200)))
    real, calls = Remember.records, []

    async def failing(self: Remember, records: Any) -> Any:
        calls.append(records)
        if len(calls) == 3:
            raise BackendTimeout("too slow", backend="embedded", operation="add")
        return await real(self, records)

    monkeypatch.setattr(Remember, "records", failing)
    ran = cli("import", name)
    assert (ran.code, ran.out) == (3, "")
    first, second = ran.err.splitlines()
    assert first == (
        "router-memory: stopped after 128 memories stored, 0 there already, 0 refused; "
        "importing again is safe and stores nothing twice"
    )
    assert second == "router-memory: error: embedded add: too slow"
    assert cli("import", name).out == "72 memories stored, 128 there already, 0 refused\n"


def test_progress_is_shown_on_a_terminal_alone(
    cli: Cli, file: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    name = file(*map(line, range(100)))
    assert cli("import", name).err == ""
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    assert run(["import", name]) == 0
    assert "there already, 0 refused" in screen.getvalue()
    assert run(["export", "--all", "--output", f"{name}.out"]) == 0


def test_an_export_that_fails_leaves_the_file_that_was_there(
    cli: Cli, added: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup is never half a backup."""
    from router_memory.backends.embedded import EmbeddedStore

    async def failing(*_: Any, **__: Any) -> Any:
        raise BackendTimeout("too slow", backend="embedded", operation="list")

    added("one")
    target = tmp_path / "backup.ndjson"
    target.write_text("before")
    monkeypatch.setattr(EmbeddedStore, "list", failing)
    ran = cli("export", "--all", "--output", str(target))
    assert (ran.code, ran.error) == (3, "embedded list: too slow")
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup.ndjson"]


def test_memories_move_to_another_model(
    cli: Cli, added: Callable[..., str], other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the new model on the old data names the commands, and they work."""
    added("I take the aisle seat")
    target = str(tmp_path / "out.ndjson")
    assert cli("export", "--all", "--output", target).code == 0
    monkeypatch.setattr(HashingEmbedder, "dimension", 32)
    monkeypatch.setattr(HashingEmbedder, "fingerprint", "hashing/32/test")
    refused = cli("search", "aisle seat").error
    assert "router-memory export --all --config OLD.yaml | router-memory import - --config NEW.yaml" in refused
    assert cli("import", target, "--config", other).code == 0
    found = cli("search", "aisle seat", "--threshold", "0.6", "--config", other, "--json").json["hits"]
    assert [hit["record"]["content"] for hit in found] == ["I take the aisle seat"]


def test_an_export_needs_no_model(cli: Cli, added: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the old one is no longer installed, its memories can still be moved."""

    async def missing(_: HashingEmbedder) -> None:
        raise EmbeddingError("there is no such model")

    added("one")
    monkeypatch.setattr(HashingEmbedder, "identify", missing)
    monkeypatch.setattr(HashingEmbedder, "embed_passages", missing)
    assert len(exported(cli, "--all")) == 1


def test_standard_input_that_is_closed_is_no_defect(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert cli("import", "-").error == "standard input is closed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(cli: Cli, added: Callable[..., str]) -> None:
    added("one")
    ran = cli("export", "--all", "--output", "/dev/full")
    assert (ran.code, ran.error) == (1, "No space left on device: /dev/full")


# -- processes


@pytest.fixture
def stores(tmp_path: Path) -> list[str]:
    """Two configurations; the first one's store holds what `fill` put there."""
    names = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.yaml"
        database = tmp_path / f"{name}.db"
        path.write_text(f"global: {{stores: {{memory: {{enabled: true, embedded: {{path: {database}}}}}}}}}")
        names.append(str(path))
    return names


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """The program, with an embedder that needs no model."""
    code = (
        "import router_memory.wiring as wiring\n"
        "from tests.doubles import HashingEmbedder\n"
        "wiring.BertEmbedder = lambda *_, **__: HashingEmbedder()\n" + MAIN
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        bufsize=0,
        preexec_fn=_interruptible,
        **options,
    )


def _interruptible() -> None:
    """A shell has its background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def fill(config: str, count: int) -> None:
    process = start("import", "-", "--config", config, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    process.communicate("\n".join(map(line, range(count))).encode(), timeout=60)
    assert process.returncode == 0


def test_a_pipe_moves_everything(stores: list[str]) -> None:
    """As the documentation says."""
    source, target = stores
    fill(source, 700)
    sending = start("export", "--all", "--config", source, stdout=subprocess.PIPE)
    taking = start("import", "-", "--config", target, stdin=sending.stdout, stdout=subprocess.PIPE)
    assert sending.stdout is not None
    sending.stdout.close()
    out, err = taking.communicate(timeout=60)
    assert (sending.communicate()[1], sending.returncode) == (b"", 0)
    assert (out, err) == (b"700 memories stored, 0 there already, 0 refused\n", b"")


def test_a_reader_that_goes_away_ends_the_export_quietly(stores: list[str]) -> None:
    fill(stores[0], 700)
    process = start("export", "--all", "--config", stores[0], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_an_interrupted_import_keeps_what_was_stored(stores: list[str]) -> None:
    """Ctrl-C while it waits for more; the next run stores the rest."""
    process = start("import", "-", "--config", stores[0], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(("\n".join(map(line, range(100))) + "\nno memory\n").encode())
    assert process.stderr is not None
    refusal = process.stderr.readline()  # by then the first batch is stored
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)  # with its input still open: an end of it would be another way to stop
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert refusal == b"router-memory: line 101: is not JSON: Expecting value (column 1)\n"
    assert err.startswith(b"router-memory: stopped after 64 memories stored, 0 there already, 1 refused; ")
    fill(stores[0], 100)
    process = start("import", "-", "--config", stores[0], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = process.communicate("\n".join(map(line, range(101))).encode(), timeout=60)
    assert out == b"1 memory stored, 100 there already, 0 refused\n"
