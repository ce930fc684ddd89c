"""The program as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import router_memory
from router_memory.cli.app import tree

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


def test_a_command_loads_no_other(tmp_path: Path) -> None:
    """What the whole help needs is the time of a search."""
    code = (
        "import sys\n"
        "from router_memory.cli.entry import run\n"
        "run(['search', '--help'])\n"
        "ours = 'router_memory.cli.'\n"
        "print(*sorted(name.removeprefix(ours) for name in sys.modules if name.startswith(ours)), file=sys.stderr)"
    )
    loaded = set(python(code).stderr.split())
    assert "memories" in loaded
    assert not loaded & {"cache", "check", "demo", "doctor", "mcp", "model", "operations", "serve", "transfer", "tune"}


@pytest.mark.parametrize(("typed", "whole"), [("search", False), ("cache", False), ("serach", True), (None, True)])
def test_the_tree_holds_what_is_typed_or_everything(typed: str | None, whole: bool) -> None:
    """A name nobody knows finds all there are, for the error to be about them."""
    names = set(typer.main.get_command(tree(typed)).commands)  # type: ignore[attr-defined]  # a group has them
    assert names == ({name for name in COMMANDS if " " not in name} | {"tune"} if whole else {typed})


def test_completion_knows_every_command_and_loads_nothing_heavy() -> None:
    """It runs at each press of a key."""
    environment = {**os.environ, "_ROUTER_MEMORY_COMPLETE": "complete_bash"}
    environment |= {"COMP_WORDS": "router-memory se", "COMP_CWORD": "1"}
    code = (
        "import sys\n"
        "from router_memory.cli.entry import run\n"
        f"run([]); print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    ran = python(code, env=environment)
    assert (ran.stdout.split(), ran.stderr) == (["serve", "search"], "[]\n")


@pytest.mark.parametrize("before", [True, False])
def test_what_is_registered_for_the_exit_is_done(before: bool) -> None:
    """By whoever runs the program as by its commands, though it may leave out the interpreter's end after that."""
    registered = "import atexit, sys; atexit.register(lambda: sys.stdout.write('registered\\n'))"
    parts = ["from router_memory.cli import main", "from router_memory.cli.process import begin; begin()"]
    code = "\n".join([registered, *parts, "main()"] if before else [*parts, registered, "main()"])
    ran = python(code, "get", "0", "--user", "u", "--config", "/no/such.yaml")
    assert (ran.returncode, ran.stdout) == (2, "registered\n")


def test_the_end_of_the_interpreter_is_left_out() -> None:
    """It takes the modules apart, which nobody needs."""
    code = "class Last:\n    def __del__(self): print('taken apart')\nlast = Last()\n"
    assert python(code).stdout == "taken apart\n"
    assert python(code + MAIN, "--version").stdout == f"router-memory {router_memory.__version__}\n"


@pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_stream_that_is_closed_fails_no_command(closed: str) -> None:
    """As some supervisors start programs."""
    ran = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-c", MAIN, "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_threads_end_before_the_process() -> None:
    """As Python does it."""
    code = (
        "import threading\n"
        "from router_memory.cli import main\n"
        "def late():\n"
        "    threading.main_thread().join()\n"
        "    print('thread')\n"
        "threading.Thread(target=late).start()\n"
        "main()"
    )
    ran = python(code, "--version")
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "thread")


def test_garbage_is_collected_as_usual_after_the_first_time() -> None:
    """The first is put off while modules load."""
    code = (
        "import gc\n"
        "usual = gc.get_threshold()\n"
        "from router_memory.cli.process import begin\n"
        "begin()\n"
        "held = gc.get_threshold()[0] > 100 * usual[0]\n"
        "gc.collect()\n"
        "print(held, gc.get_threshold() == usual, gc.get_freeze_count() > 0, gc.callbacks)"
    )
    assert python(code).stdout == "True True True []\n"


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
