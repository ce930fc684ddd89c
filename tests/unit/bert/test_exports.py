"""Exports on disk: made once, whoever asks; verified; not used when damaged."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from router_memory.backends.bert import digests as digests_module
from router_memory.backends.bert import loading as loading_module
from router_memory.backends.bert.loading import load_encoder, usual_seconds
from router_memory.backends.bert.onnx import export, exported, find, flaw, folder_of
from router_memory.backends.bert.onnx import exports as exports_module
from router_memory.backends.bert.onnx import verification as verification_module
from router_memory.backends.bert.onnx.encoder import OnnxEncoder
from router_memory.backends.bert.onnx.manifest import (
    FILES,
    GRAPH,
    REFERENCE,
    WEIGHTS,
    Facts,
    Manifest,
    checksum,
    source_digest,
)
from router_memory.backends.bert.onnx.verification import compare, fixed_parts
from router_memory.errors import EmbeddingError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.backends.bert import Source
    from router_memory.backends.bert.onnx.job import Made
    from router_memory.backends.bert.torch_encoder import TorchEncoder

pytestmark = pytest.mark.model

ALL = [*FILES, "manifest.json"]


@pytest.fixture(scope="module")
def ready(source: Source) -> Path:
    """The folder of an export that no test here changes."""
    return export(source, "onnx").folder


@pytest.fixture
def kept(source: Source, ready: Path, tmp_path: Path) -> Source:
    """The model with an export of its own in a temporary folder."""
    copy = replace(source, cache=tmp_path / "cache")
    shutil.copytree(ready, folder_of(copy, "onnx"))
    return copy


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch, ready: Path) -> list[str]:
    """Has exports copied from the one that is ready in place of made, and notes for which runtimes."""
    made: list[str] = []
    from router_memory.backends.bert.onnx import making as making_module
    from router_memory.backends.bert.onnx.job import Made

    def copied(_wanted: Source, runtime: str, target: Path, **_: object) -> Made:
        made.append(runtime)
        for name in FILES:
            shutil.copy(ready / name, target / name)
        manifest = json.loads((ready / "manifest.json").read_text())
        return Made(Facts.of(manifest["facts"]), tuple(manifest["tokens"]), manifest["made_with"])

    monkeypatch.setattr(making_module, "make", copied)
    return made


def test_an_export_is_verified_and_says_so(source: Source, encoder: TorchEncoder) -> None:
    """Its reference is what torch computes."""
    made = export(source, "onnx")
    parts = fixed_parts(encoder)
    assert fixed_parts(made.encoder) == parts
    assert max(part.tokens for part in parts) > 240
    truth = np.concatenate([encoder.encode([part]) for part in parts])
    np.testing.assert_allclose(np.load(made.folder / REFERENCE), truth, atol=1e-6)
    found = compare(made.encoder, parts, truth)
    assert found.passed
    assert found.least >= 0.99999
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert manifest["fingerprint"] == source.fingerprint
    assert set(manifest["made_with"]) >= {"torch", "onnxruntime", "sentence-transformers"}


def test_int8_is_near_enough_in_the_mean(source: Source) -> None:
    """And a good deal smaller."""
    small, full = export(source, "onnx-int8"), export(source, "onnx")
    parts = fixed_parts(small.encoder)
    found = compare(small.encoder, parts, np.load(small.folder / REFERENCE))
    assert found.passed
    assert 0.99 <= found.mean < 0.99999
    assert small.bytes < full.bytes / 3


def test_the_second_time_nothing_is_made(kept: Source, making: list[str]) -> None:
    """That is what it is kept for."""
    assert exported(kept, "onnx")
    assert export(kept, "onnx").verification is None
    assert making == []
    assert usual_seconds(kept, "onnx") < usual_seconds(kept, "torch") < usual_seconds(kept, "onnx-int8")


def test_weights_lie_beside_the_graph(ready: Path) -> None:
    """Where they are mapped and not parsed at each start."""
    assert (ready / GRAPH).stat().st_size < 1_000_000
    assert (ready / WEIGHTS).stat().st_size > 50_000_000


def test_files_that_stayed_as_they_were_are_not_read_again(kept: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """But by those who ask whether they are whole."""
    read: list[str] = []

    def noted(file: Path) -> str:
        read.append(file.name)
        return checksum(file)

    monkeypatch.setattr(digests_module, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(exports_module, "checksum", noted)
    assert find(kept, "onnx") is not None
    assert find(kept, "onnx") is not None
    assert read.count(WEIGHTS) == 1
    _flip(folder_of(kept, "onnx") / WEIGHTS)
    assert find(kept, "onnx") is None
    assert flaw(kept, "onnx") == f"{WEIGHTS} is damaged"


def test_an_export_can_be_made_anew(kept: Source, making: list[str]) -> None:
    """It takes the place of the one before."""
    before = folder_of(kept, "onnx").stat().st_ino
    assert export(kept, "onnx", anew=True).verification is not None
    assert (making, flaw(kept, "onnx")) == (["onnx"], "")
    assert folder_of(kept, "onnx").stat().st_ino != before


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x55
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in ALL for damage in (_truncate, os.unlink)] + [(name, _flip) for name in FILES],
)
def test_damage_is_noticed(kept: Source, name: str, damage: Callable[[Path], None]) -> None:
    """Whatever happened to whichever file."""
    assert flaw(kept, "onnx") == ""
    damage(folder_of(kept, "onnx") / name)
    assert flaw(kept, "onnx")


@pytest.mark.parametrize(("name", "damage"), [(GRAPH, _flip), (WEIGHTS, _flip), ("manifest.json", os.unlink)])
def test_damage_is_mended(
    kept: Source, making: list[str], name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever wants the export makes it anew."""
    damage(folder_of(kept, "onnx") / name)
    with caplog.at_level(logging.WARNING, "router_memory.bert"):
        export(kept, "onnx")
    assert "cannot be used" in caplog.text
    assert (making, flaw(kept, "onnx")) == (["onnx"], "")


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"format": 99}', '{"format": 1, "fingerprint": "x", "files": 3}', "null"]
)
def test_a_manifest_of_another_form_is_no_export(kept: Source, content: str) -> None:
    """It is not trusted, and nothing of the json module is raised."""
    (folder_of(kept, "onnx") / "manifest.json").write_text(content)
    assert flaw(kept, "onnx")
    assert find(kept, "onnx") is None


def test_another_tokenizer_needs_another_export(kept: Source, tmp_path: Path) -> None:
    """The fingerprint does not cover it."""
    model = shutil.copytree(kept.directory, tmp_path / "model")
    changed = replace(kept, directory=model)
    assert flaw(changed, "onnx") == ""
    (model / "tokenizer_config.json").write_text("{}")
    assert "other files" in flaw(changed, "onnx")


def test_a_tokenizer_beside_the_first_module_counts_too(tmp_path: Path) -> None:
    """Where older versions of sentence-transformers put it."""
    (tmp_path / "0_Transformer").mkdir()
    modules = [{"type": "sentence_transformers.models.Transformer", "path": "0_Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "0_Transformer" / "vocab.txt").write_text("a")
    before = source_digest(tmp_path)
    (tmp_path / "0_Transformer" / "vocab.txt").write_text("b")
    assert source_digest(tmp_path) != before


def test_a_group_may_write(kept: Source) -> None:
    """Volumes of containers have a group of their own."""
    folder = folder_of(kept, "onnx")
    folder.chmod(0o775)
    (folder / GRAPH).chmod(0o664)
    assert flaw(kept, "onnx") == ""


@pytest.mark.parametrize(("name", "mode"), [(".", 0o777), (GRAPH, 0o666), (WEIGHTS, 0o666), ("manifest.json", 0o646)])
def test_what_everybody_may_write_is_not_trusted(kept: Source, making: list[str], name: str, mode: int) -> None:
    """A graph is run as it lies there, and whoever can write it can write its checksum. A new one is made."""
    (folder_of(kept, "onnx") / name).chmod(mode)
    assert f"may be written by everybody (mode {mode:o})" in flaw(kept, "onnx")
    if mode == 0o777:
        before = os.umask(0)
        try:
            export(kept, "onnx")
        finally:
            os.umask(before)
        assert (making, flaw(kept, "onnx")) == (["onnx"], "")


def test_what_belongs_to_somebody_else_is_not_trusted(kept: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns a file may write it whenever he wants."""
    if os.geteuid() == 0:
        os.chown(folder_of(kept, "onnx") / GRAPH, 4242, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert "belongs to user" in flaw(kept, "onnx")
    assert find(kept, "onnx") is None


def test_what_fails_verification_is_not_used(
    source: Source, tmp_path: Path, making: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asked for it is told, `auto` falls back to torch; nothing is left behind."""
    monkeypatch.setattr(verification_module, "LEAST_COSINE", 1.01)
    wanted = replace(source, cache=tmp_path)
    with pytest.raises(EmbeddingError, match="computes other vectors") as caught:
        load_encoder(wanted, runtime="onnx", fall_back=False)
    assert "embedding.runtime: torch" in caught.value.hint
    with caplog.at_level(logging.WARNING, "router_memory.bert"):
        assert load_encoder(wanted, runtime="onnx", fall_back=True).runtime == "torch"
    assert "computes other vectors" in caplog.text
    assert [entry.name for entry in folder_of(wanted, "onnx").parent.iterdir()] == [".lock"]


@pytest.mark.parametrize("wrong", ["cannot be loaded", "computes other vectors"])
def test_what_is_wrong_with_attention_gathered_is_made_without(
    source: Source,
    ready: Path,
    tmp_path: Path,
    making: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wrong: str,
) -> None:
    """A model of another kind may be recognised by mistake; it has its export all the same."""
    from router_memory.backends.bert.onnx import making as making_module

    copied = making_module.make

    def make(wanted: Source, runtime: str, target: Path, *, fuse: bool, **rest: Any) -> Made:
        made = copied(wanted, runtime, target, **rest)
        if fuse and wrong == "cannot be loaded":
            (target / GRAPH).write_bytes(b"no graph")
        elif fuse:
            np.save(target / REFERENCE, np.load(ready / REFERENCE)[::-1])
        return replace(made, fused=6 if fuse else 0)

    monkeypatch.setattr(making_module, "make", make)
    done = export(replace(source, cache=tmp_path), "onnx")
    assert done.verification is not None
    assert done.verification.passed
    assert [making, done.folder.name] == [["onnx", "onnx"], "onnx"]
    assert wrong in caplog.text
    assert sorted(entry.name for entry in done.folder.parent.iterdir()) == [".lock", "onnx"]


def test_another_machine_verifies_again(kept: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 arithmetic differs between processors. What was found is remembered."""
    monkeypatch.setattr(exports_module, "machine", lambda: "1.0/other")
    assert find(kept, "onnx") is not None
    manifest = json.loads((folder_of(kept, "onnx") / "manifest.json").read_text())
    assert manifest["verified_on"][-1] == "1.0/other"
    monkeypatch.setattr(verification_module, "LEAST_COSINE", 1.01)
    assert find(kept, "onnx") is not None
    monkeypatch.setattr(exports_module, "machine", lambda: "1.0/third")
    with pytest.raises(EmbeddingError, match="computes other vectors"):
        find(kept, "onnx")


def test_a_folder_that_may_not_be_written_is_an_error(source: Source, tmp_path: Path, making: list[str]) -> None:
    """It says which, and what to set."""
    (tmp_path / "file").write_text("in the way")
    blocked = replace(source, cache=tmp_path / "file")
    with pytest.raises(EmbeddingError, match="cannot be kept in") as caught:
        export(blocked, "onnx")
    assert "embedding.cache_dir" in caught.value.hint
    assert load_encoder(blocked, runtime="onnx", fall_back=True).runtime == "torch"


def test_a_folder_that_may_not_be_entered_is_no_obstacle_to_torch(
    source: Source, encoder: TorchEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home folder of root, as a container's other user has it. Root may enter any, so it is refused here."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    monkeypatch.setattr(loading_module, "load_torch", lambda *_, **__: encoder)
    blocked = replace(source, cache=closed / "cache")
    if os.geteuid() == 0:
        _refuse_below(closed, monkeypatch)
    assert load_encoder(blocked, runtime="onnx", fall_back=True) is encoder
    assert usual_seconds(blocked, "onnx") > 0
    assert "cannot be read" in flaw(blocked, "onnx")
    with pytest.raises(EmbeddingError, match=r"cannot be kept in .*: Permission denied"):
        load_encoder(blocked, runtime="onnx", fall_back=False)


def _refuse_below(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has calls of the operating system fail as they do for a user who may not enter the folder."""

    def refusing(call: Callable[..., object]) -> Callable[..., object]:
        def refuse(path: object, *arguments: object, **named: object) -> object:
            if isinstance(path, str | os.PathLike) and closed in Path(path).parents:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return call(path, *arguments, **named)

        return refuse

    for name in ("stat", "lstat", "mkdir", "open"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    monkeypatch.setattr("io.open", refusing(io.open))


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken disk"), RuntimeError("no such operator"), ValueError("x")]
)
@pytest.mark.parametrize("where", ["check", "machine", "_verified", "size"])
def test_whatever_fails_on_the_way_auto_takes_torch(
    kept: Source, encoder: TorchEncoder, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    """Errors of files and of libraries come as ours, with their cause."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(exports_module, "machine", lambda: "1.0/other")
    monkeypatch.setattr(Manifest if where == "check" else exports_module, where, fail)
    monkeypatch.setattr(loading_module, "load_torch", lambda *_, **__: encoder)
    assert load_encoder(kept, runtime="onnx", fall_back=True) is encoder
    with pytest.raises(EmbeddingError) as caught:
        load_encoder(kept, runtime="onnx", fall_back=False)
    assert caught.value.__cause__ is error
    assert caught.value.hint


def test_an_export_that_fails_on_a_text_is_not_taken(
    kept: Source, encoder: TorchEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may load, be verified, and lack an operator's kernel on this machine all the same."""

    def fail(*_: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(OnnxEncoder, "encode", fail)
    monkeypatch.setattr(loading_module, "load_torch", lambda *_, **__: encoder)
    assert load_encoder(kept, runtime="onnx", fall_back=True) is encoder


def test_an_export_that_was_stopped_leaves_nothing(source: Source, tmp_path: Path) -> None:
    """The process that exports is ended at once, and torch is not taken in its place."""
    stop, wanted = threading.Event(), replace(source, cache=tmp_path)
    began = time.monotonic()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    with pytest.raises(EmbeddingError, match="closed"):
        load_encoder(wanted, runtime="onnx", fall_back=True, stop=stop)
    timer.join()
    assert 0.5 <= time.monotonic() - began < 4.0
    assert [entry.name for entry in folder_of(wanted, "onnx").parent.iterdir()] == [".lock"]


def test_usage_data_are_switched_off_before_a_graph_is_loaded(kept: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some builds of onnxruntime send them by default."""
    import onnxruntime

    calls: list[str] = []

    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, *arguments: object, **named: object) -> None:
            calls.append("session")
            super().__init__(*arguments, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: calls.append("off"), raising=False)
    assert find(kept, "onnx") is not None
    assert calls == ["off", "session"]


def test_without_a_home_there_is_no_place(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is exported."""

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", homeless)
    with pytest.raises(EmbeddingError, match="no home folder"):
        export(replace(source, cache=None), "onnx")


def test_without_the_exporter_a_finished_export_still_serves(kept: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package onnx is needed to make one alone."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert export(kept, "onnx").verification is None
    with pytest.raises(MissingExtra, match=r"router-memory\[onnx\]"):
        export(kept, "onnx", anew=True)


def test_leftovers_of_processes_that_were_ended_are_swept(kept: Source, making: list[str]) -> None:
    """By the next that makes an export."""
    parent = folder_of(kept, "onnx").parent
    left, young = parent / ".making-dead", parent / ".making-alive"
    for folder in (left, young):
        folder.mkdir()
        (folder / GRAPH).write_bytes(b"half")
    os.utime(left, (0, 0))
    export(kept, "onnx", anew=True)
    assert not left.exists()
    assert young.exists()


def test_a_model_that_cannot_be_exported_says_why(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module the graph has no place for: known from the model's files, so no process is started."""
    monkeypatch.setattr(subprocess, "Popen", None)
    model = shutil.copytree(source.directory, tmp_path / "model")
    modules = json.loads((model / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dropout", "type": "sentence_transformers.models.Dropout"})
    (model / "modules.json").write_text(json.dumps(modules))
    (model / "3_Dropout").mkdir()
    (model / "3_Dropout" / "config.json").write_text('{"dropout": 0.1}')
    with pytest.raises(EmbeddingError, match="module Dropout"):
        export(replace(source, directory=model, cache=tmp_path / "cache"), "onnx")


def _processes(code: str, count: int) -> list[subprocess.CompletedProcess[str]]:
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    done = []
    for process in started:
        out, err = process.communicate(timeout=300)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return done


@pytest.mark.parametrize("count", [4, pytest.param(10, marks=pytest.mark.full)])
def test_processes_that_start_together_make_one_export(tmp_path: Path, model_directory: Path, count: int) -> None:
    """They start together on an empty folder; all of them embed, none loads torch, one has exported."""
    code = f"""
import logging, sys
from dataclasses import replace
from pathlib import Path
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
from router_memory.backends.bert import find_source
from router_memory.backends.bert import loading as loading_module
from router_memory.backends.bert.loading import load_encoder
encoder = load_encoder(find_source("bert", threads=1, cache=Path({str(tmp_path)!r})), runtime="onnx", fall_back=False)
row = encoder.encode(encoder.split_query("hello"))[0]
print("vector", row[:2].round(4).tolist(), sorted({{"torch", "transformers"}} & set(sys.modules)))
"""
    done = _processes(code, count)
    assert [process.returncode for process in done] == [0] * count, [process.stderr[-300:] for process in done]
    vectors = {process.stdout.splitlines()[-1] for process in done}
    assert len(vectors) == 1
    assert vectors.pop().endswith(" []")
    assert sum("exporting the embedding model" in process.stdout for process in done) == 1
    (model,) = (folder for folder in tmp_path.iterdir() if folder.name != ".digests")
    assert sorted(entry.name for entry in model.iterdir()) == [".lock", "onnx"]
