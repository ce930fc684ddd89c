"""The second session of the bundled model: the same vectors, and nobody waits for it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from router_memory.backends.bert import BertEmbedder
from router_memory.backends.bert.loading import load_encoder
from router_memory.backends.bert.onnx import folder_of
from router_memory.backends.bert.onnx.encoder import OnnxEncoder
from router_memory.backends.bert.onnx.manifest import GRAPH
from router_memory.backends.bert.onnx.sessions import Sessions, open_session, wait_for_wide
from router_memory.backends.bert.onnx.verification import FIXED_TEXTS
from tests.unit.bert.fakes import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from onnxruntime import InferenceSession

    from router_memory.backends.bert import Source

pytestmark = pytest.mark.model

TEXT = "Which seat do I take on planes?"


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr("router_memory.backends.bert.cpus.available_cpus", lambda: 2)


def loaded(source: Source, runtime: str) -> OnnxEncoder:
    encoder = load_encoder(source, runtime=runtime, fall_back=False)
    assert isinstance(encoder, OnnxEncoder)
    return encoder


def _all_sessions() -> list[Sessions]:
    return [each for each in gc.get_objects() if isinstance(each, Sessions)]


@pytest.mark.parametrize("runtime", ["onnx", "onnx-int8"])
def test_both_sessions_give_the_same_vectors(source: Source, runtime: str) -> None:
    """Within a millionth, alone and, in full precision, in batches: what is stored does not tell which one it was."""
    encoder = loaded(source, runtime)
    graph = folder_of(source, runtime) / GRAPH
    narrow, wide = open_session(graph, 1), open_session(graph, 2, spinning=True)
    read = encoder._tokenized(list(FIXED_TEXTS))
    batches = [[one] for one in read] + ([read, read[:5]] if runtime == "onnx" else [])
    for batch in batches:
        features = encoder._features(batch)
        np.testing.assert_allclose(wide.run(None, features)[0], narrow.run(None, features)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("threads", "widened"), [(0, True), (1, False), (2, False)])
def test_a_second_session_is_opened_where_no_number_of_threads_is_configured(
    source: Source, threads: int, widened: bool
) -> None:
    """After some texts, and vectors stay what they were."""
    encoder = loaded(replace(source, threads=threads), "onnx-int8")
    parts = encoder.split_query(TEXT)
    before = encoder.encode(parts)
    assert not encoder.widened
    for _ in range(12):
        encoder.encode(parts)
    wait_for_wide()
    assert encoder.widened == widened
    np.testing.assert_allclose(encoder.encode(parts * 20), np.repeat(before, 20, axis=0), rtol=0, atol=1e-6)


async def test_closing_while_it_is_opened_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is opened then is dropped, and the model with it."""
    begun, leave = threading.Event(), threading.Event()
    before = _all_sessions()

    def open_slowly(graph: Path, threads: int, *, spinning: bool = False) -> InferenceSession:
        if spinning:
            begun.set()
            if not leave.wait(PATIENCE):
                raise TimeoutError
        return open_session(graph, threads, spinning=spinning)

    monkeypatch.setattr("router_memory.backends.bert.onnx.encoder.open_session", open_slowly)
    bert = BertEmbedder(runtime="onnx-int8")
    await bert.embed_passages([TEXT] * 12)
    assert begun.wait(PATIENCE)
    await bert.close()
    leave.set()
    wait_for_wide()
    gc.collect()
    assert len(_all_sessions()) == len(before)


def test_a_program_may_end_while_it_is_opened() -> None:
    """Without a crash, whatever the moment: the eighth pass, of which loading makes two, has it opened."""
    code = f"""
import asyncio, atexit
from router_memory.backends.bert import BertEmbedder, cpus
from router_memory.backends.bert.onnx import encoder
cpus.available_cpus = lambda: 2
opened = []
real = encoder.open_session
def noted(*given, **named):
    opened.append(named)
    return real(*given, **named)
encoder.open_session = noted
atexit.register(lambda: print(opened))
async def main():
    bert = BertEmbedder(runtime="onnx-int8")
    await bert.embed_passages([{TEXT!r}] * 6)
    print("done")
asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "done\n[{}, {'spinning': True}]\n", "")
