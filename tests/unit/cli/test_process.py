"""The program as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import router_memory

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "numpy", "yaml", "sentence_transformers", "usearch", "sqlite3", "glide"}
COMMANDS = ["demo", "config", "config check", "add", "search", "get", "list", "update", "forget", "stats", "doctor"]
COMMANDS += ["model", "model export", "model verify", "model bench"]
COMMANDS += ["export", "import", "cache", "cache stats", "cache clear", "serve", "mcp", "upstream"]
COMMAND_HELPS = [f"{command} --help" for command in COMMANDS]
MAIN = "from router_memory.cli import main; main()"


def python(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, **options
    )


@pytest.mark.parametrize(
    ("lines", "heavy"), [(["--help"], {*HEAVY, "pydantic"}), (["--version", "", *COMMAND_HELPS], HEAVY)]
)
def test_help_loads_nothing_heavy(lines: list[str], heavy: set[str]) -> None:
    """Of commands it may load pydantic, by which typer itself reads their parameters from 0.29 on."""
    code = (
        "import sys\n"
        "from router_memory.cli.entry import run\n"
        f"codes = {{run(line.split()) for line in {lines!r}}}\n"
        f"print(codes, sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    assert python(code).stderr == "{0} []\n"


def test_commands_that_embed_nothing_load_no_torch(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"global: {{stores: {{memory: {{enabled: true, embedded: {{path: {tmp_path / 'm.db'}}}}}}}}}")
    commands = ["list --user u", "get 0 --user u", "forget --all --yes --user u", "stats", "doctor"]
    code = (
        "import sys\n"
        "from router_memory.cli.entry import run\n"
        f"codes = [run([*c.split(), '--config', {str(config)!r}]) for c in {commands!r}]\n"
        "print(codes, 'torch' in sys.modules)"
    )
    assert python(code).stdout.splitlines()[-1] == "[0, 1, 0, 0, 0] False"


def test_version() -> None:
    ran = python(MAIN, "--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"router-memory {router_memory.__version__}\n", "")


def test_without_a_command_it_prints_the_help() -> None:
    ran = python(MAIN)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Usage: router-memory" in ran.stdout


def test_an_error_is_one_line() -> None:
    ran = python(MAIN, "list", "--user", "u", "--config", "/no/such.yaml")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"global: {{stores: {{memory: {{enabled: true, embedded: {{path: {tmp_path / 'm.db'}}}}}}}}}")
    arguments = ["stats", "--json", "--config", str(config)]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", MAIN, "--version"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (1, "router-memory: error: No space left on device\n")
