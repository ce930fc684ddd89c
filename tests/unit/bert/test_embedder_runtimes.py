"""The embedder over each runtime: what it says of itself, what it falls back to, data that go from one to another."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from router_memory import MemoryPlugin
from router_memory.backends.bert import BertEmbedder
from router_memory.cache.keys import vectors_of
from router_memory.errors import EmbeddingError
from router_memory.ranking import calibration_for
from router_memory.types import Scope

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model

SAID = ["On planes I take the aisle seat.", "My cat is called Oliver.", "The car needs new tyres."]


def configuration(path: Path, runtime: str) -> dict[str, object]:
    section = {
        "enabled": True,
        "hybrid_search": True,
        "embedded": {"path": str(path / "memory.db")},
        "embedding": {"runtime": runtime, "query_prefix": "query: ", "passage_prefix": "passage: "},
    }
    return {"global": {"stores": {"memory": section}}}


@pytest.mark.parametrize(
    ("wanted", "runtime"), [("auto", "onnx"), ("onnx", "onnx"), ("onnx-int8", "onnx-int8"), ("torch", "torch")]
)
async def test_the_runtime_is_known_before_the_model_is_loaded(wanted: str, runtime: str) -> None:
    """Cache keys and the similarity scale need it; the fingerprint, which is in stored data, has nothing of it."""
    bert = BertEmbedder(runtime=wanted)
    with pytest.raises(EmbeddingError, match="identify"):
        _ = bert.runtime
    await bert.identify()
    assert bert.runtime == runtime
    assert bert.fingerprint == "all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2"
    assert calibration_for(bert.fingerprint, bert.runtime).fitted
    assert vectors_of(bert).endswith("/int8" if runtime == "onnx-int8" else "/fp32")
    await bert.close()


async def test_a_fall_back_shows_and_changes_no_key(tmp_path: Path) -> None:
    """`auto` where exports cannot be kept: torch answers, what was cached under onnx is found again."""
    (tmp_path / "file").write_text("in the way")
    bert = BertEmbedder(runtime="auto", cache=tmp_path / "file")
    await bert.identify()
    before = bert.runtime, vectors_of(bert), calibration_for(bert.fingerprint, bert.runtime)
    assert (await bert.embed_query("hello")).shape == (384,)
    assert (before[0], bert.runtime) == ("onnx", "torch")
    assert (vectors_of(bert), calibration_for(bert.fingerprint, bert.runtime)) == before[1:]
    await bert.close()


@pytest.mark.parametrize("runtime", ["onnx", "onnx-int8"])
async def test_who_asks_for_onnx_gets_no_torch(runtime: str, tmp_path: Path) -> None:
    """An operator sized the container by it."""
    (tmp_path / "file").write_text("in the way")
    bert = BertEmbedder(runtime=runtime, cache=tmp_path / "file")
    with pytest.raises(EmbeddingError, match="cannot be kept"):
        await bert.embed_query("hello")
    await bert.close()


@pytest.mark.parametrize(("writing", "reading"), [("torch", "onnx-int8"), ("onnx", "torch"), ("onnx-int8", "onnx")])
async def test_data_of_one_runtime_are_read_by_another(writing: str, reading: str, tmp_path: Path) -> None:
    """Same fingerprint, same store, the same memory first."""
    scope = Scope("ann")
    async with MemoryPlugin.open(configuration(tmp_path, writing)) as memory:
        for text in SAID:
            await memory.add(scope, text)
    async with MemoryPlugin.open(configuration(tmp_path, reading)) as memory:
        found = await memory.search(scope, "Which seat do I like when I fly?")
        assert found[0].record.content == SAID[0]


def test_with_an_export_at_hand_neither_torch_nor_transformers_is_loaded(tmp_path: Path) -> None:
    """Not by anything on the way of a search either."""
    code = f"""
import asyncio, sys
from router_memory import MemoryPlugin
from router_memory.types import Scope
async def main():
    async with MemoryPlugin.open({configuration(tmp_path, "onnx")!r}) as memory:
        await memory.add(Scope("ann"), {SAID[0]!r})
        return await memory.search(Scope("ann"), "Which seat?")
print(len(asyncio.run(main())), sorted({{"torch", "transformers", "sentence_transformers", "onnx"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.strip() == "1 []"
