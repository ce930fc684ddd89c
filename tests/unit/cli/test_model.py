"""`model export`, `model verify`, `model bench`, and what `doctor` says of the runtime."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert import runtimes
from router_memory.backends.bert.cpus import model_threads, wide_threads
from router_memory.backends.bert.onnx.manifest import GRAPH, checksum
from router_memory.config import load_config
from router_memory.types import CheckStatus
from router_memory.wiring.model import runtime_finding
from tests.doubles import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.types import Finding
    from tests.unit.cli.conftest import Cli

ROOT = Path(__file__).parents[3]
BUNDLED = "*72e24ed58e431ab2"
"""The bundled model's folder of exports."""
UNFINISHED = shutil.ignore_patterns(".making-*", ".replaced-*")
"""What another worker of this run has under way in the folder they share, and takes away in the middle of a copy."""


@pytest.mark.model
def test_export_says_where_the_model_lies(cli: Cli) -> None:
    """The second time nothing is made; `auto` is onnx."""
    assert cli("model", "export").code == 0
    described = cli("model", "export", "--json").json
    assert (described["runtime"], described["made"], described["mean_cosine"]) == ("onnx", False, None)
    assert described["folder"].endswith("/onnx")
    assert described["folder"].rpartition("/")[0] in cli("model", "export").out.replace(" ", "").replace("\n", "")


@pytest.mark.model
def test_verify_shows_each_text(cli: Cli) -> None:
    """With the cosine of each; the exit code is 0 as all is well."""
    assert cli("model", "export").code == 0
    ran = cli("model", "verify", "--runtime", "onnx", "--json")
    assert ran.code == 0
    (only,) = ran.json["runtimes"]
    assert (only["runtime"], only["passed"]) == ("onnx", True)
    assert len(only["cosines"]) == len(ran.json["texts"]) > 20
    assert min(only["cosines"]) == only["least_cosine"] >= 0.99999


@pytest.mark.model
def test_bench_measures_in_a_process_of_its_own(cli: Cli) -> None:
    """Figures a person can compare."""
    (only,) = cli("model", "bench", "--runtime", "onnx", "--json").json["runtimes"]
    assert only["runtime"] == "onnx"
    assert min(only["load_seconds"], only["query_ms"], only["texts_per_second"]) > 0
    assert only["resident_bytes"] is None or 50e6 < only["resident_bytes"] < 450e6
    assert (only["threads"], only["wide_threads"]) == (model_threads(0), wide_threads(0))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", "--runtime", "torch"], "needs no export"),
        (["export", "--runtime", "tpu"], "no embedding runtime 'tpu'"),
        (["verify", "--runtime", "torch"], "no export to verify"),
        (["bench", "--runtime", "tpu"], "no embedding runtime 'tpu'"),
    ],
)
def test_a_runtime_that_does_not_fit_is_an_error(cli: Cli, arguments: list[str], says: str) -> None:
    """Of the command line."""
    ran = cli("model", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.error


def test_without_an_export_there_is_nothing_to_verify(cli: Cli, config: Path) -> None:
    """It says what to run."""
    config.write_text(config.read_text() + "      embedding: {cache_dir: empty}\n")
    ran = cli("model", "verify")
    assert ran.code == 1
    assert "router-memory model export" in ran.error


@pytest.mark.model
def test_verify_shows_an_export_that_is_too_far_off(cli: Cli, config: Path, exported_models: Path) -> None:
    """Text by text, though embedding with it is refused. It is whole, and was never verified here."""
    assert cli("model", "export").code == 0
    models = config.with_name("models")
    config.write_text(config.read_text() + f"      embedding: {{cache_dir: {models}, runtime: onnx}}\n")
    shutil.copytree(exported_models, models, ignore=UNFINISHED)
    (folder,) = models.glob(f"{BUNDLED}/onnx")
    _turn_a_table_of_weights(folder / GRAPH)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][GRAPH] = checksum(folder / GRAPH)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"verified_on": []}))
    refused = cli("model", "export")
    assert refused.code == 1
    assert "computes other vectors" in refused.error
    ran = cli("model", "verify", "--runtime", "onnx", "--json")
    (only,) = ran.json["runtimes"]
    assert (ran.code, ran.err, only["passed"]) == (1, "", False)
    assert len(only["cosines"]) == len(ran.json["texts"]) > 20
    assert min(only["cosines"]) == only["least_cosine"] < 0.9


def _turn_a_table_of_weights(graph: Path) -> None:
    """Gives every token the embedding of another one."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph))
    table = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[::-1].copy(), table.name))
    onnx.save(model, str(graph))


def examined(folder: Path, runtime: str, configured: str = "auto") -> Finding:
    embedder = HashingEmbedder()
    embedder.runtime = runtime
    section = {"embedding": {"cache_dir": str(folder), "runtime": configured}}
    found = runtime_finding(load_config({"global": {"stores": {"memory": section}}}), embedder)
    assert found.name == "runtime"
    assert found.data["configured"] == configured
    return found


def finding(folder: Path, runtime: str) -> tuple[CheckStatus, str]:
    found = examined(folder, runtime)
    return found.status, found.finding


def install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Makes these packages the ones that are installed."""

    def of(package: str) -> str:
        if package not in versions:
            raise PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(runtimes, "version", of)


def test_commands_show_what_the_model_warns_of(config: Path) -> None:
    """On one line of standard error, as they do when it is exported; with --debug, as any log record."""
    code = (
        "from router_memory.backends.bert import runtimes\n"
        "runtimes.version = lambda package: '1.29.0'\n"
        "from router_memory.cli import main; main()"
    )
    shown = []
    for options in ([], ["--debug"]):
        command = [sys.executable, "-c", code, *options, "doctor", "--config", str(config)]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        shown.append([line for line in ran.stderr.splitlines() if "onnxruntime 1.29.0 is installed" in line])
    ((plain,), (logged,)) = shown
    assert plain.startswith("router-memory: the embedding runtime is torch: ")
    assert logged.startswith("WARNING:router_memory.bert:")


def test_doctor_shows_runtime_and_export(tmp_path: Path) -> None:
    """What is not exported yet is well."""
    status, said = finding(tmp_path, "torch")
    assert (status, said.partition(";")[0]) == (CheckStatus.OK, "torch")
    status, said = finding(tmp_path, "onnx")
    assert status is CheckStatus.OK
    assert said.startswith("onnx, not exported yet")


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_doctor_says_what_embeds_where_no_export_can_be_kept(tmp_path: Path, place: str) -> None:
    """Torch for `auto`, nothing for who insists. Folders the system does not let one look at are no traceback."""
    (tmp_path / "file").write_text("in the way")
    found = examined(tmp_path / place, "onnx")
    assert (found.status, found.data["runtime"], found.data["exported"]) == (CheckStatus.WARN, "torch", False)
    assert found.finding.startswith("auto embeds with torch: ")
    assert "may not be written" in found.finding
    assert "embedding.cache_dir" in found.advice
    insisted = examined(tmp_path / place, "onnx", "onnx")
    assert insisted.status is CheckStatus.FAIL
    assert insisted.finding.startswith("onnx cannot be used: ")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another user is a process of its own")
def test_doctor_looks_at_the_home_of_another_user(tmp_path: Path) -> None:
    """A folder it may not enter is one that may not be written."""
    locked = tmp_path / "home"
    locked.mkdir(mode=0o000)
    examined(tmp_path, "onnx")  # has everything imported

    def look() -> str:
        return examined(locked / "cache", "onnx").finding

    found = _as_nobody(look) if os.geteuid() == 0 else look()
    assert found.startswith("auto embeds with torch: ")
    assert "may not be written" in found


def _as_nobody(work: Callable[[], str]) -> str:
    """What `work` gives a user without rights, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(65534)
            said = work()
        except BaseException as error:  # noqa: BLE001 - nothing of pytest's is to run in here
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


def test_doctor_says_that_exporting_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which onnxruntime comes without."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    found = examined(tmp_path, "onnx")
    assert (found.status, found.data["runtime"]) == (CheckStatus.WARN, "torch")
    assert found.finding.startswith("auto embeds with torch: there is no export, and the package onnx")
    assert "pip install 'router-memory[onnx]'" in found.advice
    insisted = examined(tmp_path, "onnx-int8", "onnx-int8")
    assert (insisted.status, insisted.data["runtime"]) == (CheckStatus.FAIL, "onnx-int8")
    assert insisted.finding.startswith("onnx-int8 cannot be used: ")


@pytest.mark.parametrize(
    ("installed", "status", "says"),
    [
        ({}, CheckStatus.OK, "torch; loading"),
        ({"onnxruntime": "1.29.0"}, CheckStatus.WARN, "onnxruntime 1.29.0 is installed"),
        ({"onnxruntime": "1.28.0", "usearch": "2.26.3"}, CheckStatus.WARN, "usearch 2.26.3 is installed"),
    ],
)
def test_doctor_and_log_say_why_auto_is_torch(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    installed: dict[str, str],
    status: CheckStatus,
    says: str,
) -> None:
    """Once, with what to do. Where there is no onnxruntime nobody is warned; who chose torch is told nothing."""
    install(monkeypatch, **installed)
    runtimes._warn.cache_clear()  # another test may have had the same reason
    found = examined(tmp_path, "torch")
    assert found.status is status
    assert says in found.finding
    assert "pip install 'router-memory[onnx]'" in found.advice
    assert (examined(tmp_path, "torch", "torch").status, examined(tmp_path, "torch", "torch").advice) == ("ok", "")
    with caplog.at_level(logging.WARNING, "router_memory.bert"):
        assert [runtimes.resolve(name) for name in ("torch", "auto", "auto")] == ["torch"] * 3
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == (status is CheckStatus.WARN)
    assert all(says in text and "pip install 'router-memory[onnx]'" in text for text in warned)


@pytest.mark.model
def test_doctor_shows_a_damaged_export(cli: Cli, exported_models: Path, tmp_path: Path) -> None:
    """And a whole one."""
    assert cli("model", "export").code == 0
    shutil.copytree(exported_models, tmp_path / "models", ignore=UNFINISHED)
    assert finding(tmp_path / "models", "onnx")[0] is CheckStatus.OK
    (graph,) = (tmp_path / "models").glob(f"{BUNDLED}/onnx/{GRAPH}")
    graph.write_bytes(graph.read_bytes()[:1000])
    assert finding(tmp_path / "models", "onnx")[0] is CheckStatus.WARN
