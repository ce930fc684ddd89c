"""The embedder: its life, its loop, and vectors end to end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from router_memory.backends.bert import BertEmbedder, embedder
from router_memory.backends.bert.source import Source
from router_memory.backends.bert.splitting import Part
from router_memory.errors import EmbeddingError, InvalidRequest
from router_memory.protocols import Embedder
from tests.unit.bert.fakes import PATIENCE, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from numpy.typing import NDArray

    from router_memory.backends.bert.torch_encoder import TorchEncoder


class FakeEncoder:
    """Two dimensions; ``|`` separates parts; the vector of a part points at 1 or, for ``up``, at 2."""

    runtime = "torch"
    dimension = 2
    max_tokens = 8

    def split_query(self, text: str) -> list[Part]:
        return words(text)

    def split_passage(self, text: str) -> list[Part]:
        return words(text)

    def encode(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        return np.array([[0, 1] if part.text == "up" else [1, 0] for part in parts], dtype=np.float32)


class Loads:
    """Stands in for loading: counts, notes the thread, and waits for a signal if told to."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.failure: Exception | None = None
        self.dimension = 2
        self.begun = threading.Event()
        self.stop = threading.Event()
        self.may_finish = threading.Event()
        self.may_finish.set()

    def __call__(self, _source: Source, *, stop: threading.Event, **_: object) -> FakeEncoder:
        self.stop = stop
        self.threads.append(threading.current_thread().name)
        self.begun.set()
        if not self.may_finish.wait(PATIENCE):
            raise TimeoutError("the load was never let go on")
        if self.failure is not None:
            raise self.failure
        return FakeEncoder()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Replaces the model by a fake one."""
    loads = Loads()
    monkeypatch.setattr(embedder, "find_source", lambda model, **_: Source(Path(model), "fake/2/0-0", loads.dimension))
    monkeypatch.setattr(embedder, "load_encoder", loads)
    return loads


@pytest.fixture
async def bert(loads: Loads) -> AsyncIterator[BertEmbedder]:
    """An embedder over the fake model, not opened."""
    bert = BertEmbedder("fake")
    yield bert
    loads.may_finish.set()
    await bert.close()


async def test_identify_loads_nothing(bert: BertEmbedder, loads: Loads) -> None:
    """A command that only looks at a store need not wait for torch."""
    await bert.identify()
    assert (bert.dimension, bert.fingerprint) == (2, "fake/2/0-0")
    assert loads.threads == []


def test_nothing_is_known_before(loads: Loads) -> None:
    """The properties say what to call first."""
    with pytest.raises(EmbeddingError, match="identify"):
        _ = BertEmbedder("fake").dimension


async def test_open_loads_on_its_own_thread_and_the_loop_runs_on(bert: BertEmbedder, loads: Loads) -> None:
    """Importing torch takes seconds; requests are served meanwhile, and told how long it may take."""
    loads.may_finish.clear()
    opening = asyncio.create_task(bert.open())
    assert await asyncio.to_thread(loads.begun.wait, PATIENCE)
    assert bert.backlog_seconds() > 0.0
    assert not opening.done()
    loads.may_finish.set()
    await opening
    assert loads.threads == ["router-memory-bert_0"]
    assert bert.backlog_seconds() == 0.0


async def test_open_twice_loads_once(bert: BertEmbedder, loads: Loads) -> None:
    """Also at the same time."""
    await asyncio.gather(bert.open(), bert.open())
    await bert.open()
    assert len(loads.threads) == 1


async def test_the_first_text_opens(bert: BertEmbedder, loads: Loads) -> None:
    """Nobody has to call open."""
    assert bert.backlog_seconds() == 0.0
    assert (await bert.embed_query("hello")).tolist() == [1, 0]
    assert len(loads.threads) == 1


async def test_a_cancelled_first_text_does_not_throw_the_load_away(bert: BertEmbedder, loads: Loads) -> None:
    """Requests with deadlines shorter than a load would otherwise never get to see the model."""
    loads.may_finish.clear()
    first = asyncio.create_task(bert.embed_query("hello"))
    assert await asyncio.to_thread(loads.begun.wait, PATIENCE)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    loads.may_finish.set()
    await bert.embed_query("again")
    assert len(loads.threads) == 1


async def test_a_failed_load_is_reported_and_tried_again_later(
    bert: BertEmbedder, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who repairs the model need not restart the gateway; requests do not try again and again."""
    loads.failure = EmbeddingError("broken", hint="mend it")
    for _ in range(3):
        with pytest.raises(EmbeddingError, match=r"broken \(mend it\)"):
            await bert.open()
    assert len(loads.threads) == 1
    assert bert.backlog_seconds() == 0.0
    monkeypatch.setattr(embedder, "_RETRY_SECONDS", 0.0)
    loads.failure = None
    await bert.open()
    assert len(loads.threads) == 2


async def test_a_model_that_contradicts_its_files_is_refused(bert: BertEmbedder, loads: Loads) -> None:
    """The store was opened with the dimension of the files."""
    loads.dimension = 3
    with pytest.raises(EmbeddingError, match="2 components, not the 3"):
        await bert.open()


async def test_a_query_of_several_parts_gets_their_normalized_mean(bert: BertEmbedder) -> None:
    """One vector, unit norm."""
    vector = await bert.embed_query("right|up")
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, [0.5**0.5] * 2, atol=1e-6)


async def test_a_passage_of_several_parts_gets_a_row_for_each(bert: BertEmbedder) -> None:
    """In the order of the texts and of their parts."""
    arrays = await bert.embed_passages(["up|right", "up"])
    assert [array.tolist() for array in arrays] == [[[0, 1], [1, 0]], [[0, 1]]]
    assert await bert.embed_passages([]) == []


async def test_close_is_idempotent_and_final(bert: BertEmbedder) -> None:
    """Later calls raise, whatever they are; what was identified stays known."""
    await bert.open()
    await bert.close()
    await bert.close()
    for call in (bert.open, bert.identify, lambda: bert.embed_query("x"), lambda: bert.embed_passages(["x"])):
        with pytest.raises(EmbeddingError, match="closed"):
            await call()
    assert bert.dimension == 2
    assert bert.backlog_seconds() == 0.0


async def test_close_during_a_load_fails_those_who_wait_for_it(bert: BertEmbedder, loads: Loads) -> None:
    """And returns at once: torch's loading cannot be stopped, an export is, and the model is dropped."""
    loads.may_finish.clear()
    waiting = asyncio.create_task(bert.embed_query("hello"))
    assert await asyncio.to_thread(loads.begun.wait, PATIENCE)
    assert not loads.stop.is_set()
    await bert.close()
    assert loads.stop.is_set()
    loads.may_finish.set()
    with pytest.raises(EmbeddingError, match="closed"):
        await waiting


async def test_a_second_event_loop_is_refused(bert: BertEmbedder) -> None:
    """Futures of one loop cannot be awaited in another; say so instead of hanging."""
    await bert.open()

    def elsewhere() -> None:
        asyncio.run(bert.embed_query("x"))

    with pytest.raises(EmbeddingError, match="another event loop"):
        await asyncio.to_thread(elsewhere)
    assert (await bert.embed_query("x")).shape == (2,)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: BertEmbedder(""), "model"),
        (lambda: BertEmbedder(batch_size=0), "batch_size"),
        (lambda: BertEmbedder(batch_wait_ms=-0.1), "batch_wait_ms"),
        (lambda: BertEmbedder(batch_wait_ms=11.0), "batch_wait_ms"),
        (lambda: BertEmbedder(threads=-1), "threads"),
        (lambda: BertEmbedder(runtime="tpu"), "runtime"),
    ],
)
def test_arguments_out_of_range_are_refused(make: Callable[[], BertEmbedder], field: str) -> None:
    """At once, naming the argument."""
    with pytest.raises(InvalidRequest) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.model
async def test_the_real_model_end_to_end(encoder: TorchEncoder) -> None:
    """Related texts are nearer than others, long ones have several rows, concurrent calls agree with single ones."""
    bert: Embedder = BertEmbedder("bert", query_prefix="query: ", passage_prefix="passage: ")
    await bert.open()
    try:
        query, (pet, car, long) = await asyncio.gather(
            bert.embed_query("Which pets do I have?"),
            bert.embed_passages(["My cat is called Oliver.", "The car needs new tyres.", "My cat sleeps. " * 200]),
        )
        assert query.shape == (bert.dimension,) == (384,)
        assert float(pet[0] @ query) > float(car[0] @ query)
        assert long.shape[0] > 1
        np.testing.assert_allclose(np.linalg.norm(long, axis=1), 1.0, atol=1e-6)
        alone = encoder.encode(encoder.split_query("Which pets do I have?"))[0]
        assert float(alone @ query) == pytest.approx(1.0, abs=1e-5)
        assert bert.fingerprint.startswith("all-MiniLM-L6-v2/384/53aa5117")
    finally:
        await bert.close()
