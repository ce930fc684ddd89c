"""The embedder: a loaded model behind a batcher, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert.batching import Batcher
from router_memory.backends.bert.encoder import Encoder, unit_rows
from router_memory.backends.bert.loading import load_encoder, usual_seconds
from router_memory.backends.bert.pace import Pace
from router_memory.backends.bert.runtimes import AUTO, INT8, check_runtime, resolve
from router_memory.backends.bert.source import Source, find_source
from router_memory.errors import EmbeddingError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["BertEmbedder"]

_WARM_UP_TEXT = "What did we say about the trip last summer?"
_LONGEST_WAIT_MS = 10.0
_RETRY_SECONDS = 60.0
"""A load that failed is not tried again before: an export that fails takes seconds of two processors."""


class BertEmbedder:
    """An `Embedder` over a local sentence-transformers model. Belongs to the event loop that first uses it.

    Args:
        model: ``bert`` (all-MiniLM-L6-v2 from the package of the extra ``bundled-model``), a directory, or the
            name of a model in the local hub cache. Nothing is ever downloaded.
        query_prefix: Put in front of each part of a query, e.g. ``"query: "`` for E5.
        passage_prefix: Put in front of each part of a passage, e.g. ``"passage: "``.
        batch_size: Most parts in one forward pass, ≥ 1.
        batch_wait_ms: For so long after a batch of several queries the next ones wait for each other, 0 to 10. Not with
            ``onnx-int8``, which takes one text at a time.
        threads: CPU threads of the model, ≥ 0; 0 takes one less than the CPUs this process may use, and with
            onnxruntime all of them, up to four, for passes that are faster so. With torch the number holds for the
            whole process, as torch has only one.
        runtime: What computes: ``torch``, ``onnx``, ``onnx-int8``, or ``auto``, which takes ``onnx`` where
            onnxruntime is installed and falls back to ``torch``, with a warning in the log, where that does not work.
        cache: Where the exports that onnx needs are kept; ``None`` for ``router-memory/models`` in the user's cache
            folder.

    Raises:
        InvalidRequest: An argument is out of its range.
    """

    def __init__(
        self,
        model: str = "bert",
        *,
        query_prefix: str = "",
        passage_prefix: str = "",
        batch_size: int = 16,
        batch_wait_ms: float = 0.5,
        threads: int = 0,
        runtime: str = AUTO,
        cache: Path | None = None,
    ) -> None:
        if not model:
            raise InvalidRequest("the embedding model has no name", field="model")
        if batch_size < 1:
            raise InvalidRequest("batch_size must be at least 1", field="batch_size")
        if not 0.0 <= batch_wait_ms <= _LONGEST_WAIT_MS:
            raise InvalidRequest(f"batch_wait_ms must be from 0 to {_LONGEST_WAIT_MS:g}", field="batch_wait_ms")
        if threads < 0:
            raise InvalidRequest("threads must be at least 0", field="threads", hint="0 means automatic")
        check_runtime(runtime)
        self._model = model
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix
        self._batch_size = batch_size
        self._batch_wait_seconds = batch_wait_ms / 1000
        self._threads = threads
        self._wanted_runtime = runtime
        self._runtime = ""
        self._cache = cache
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="router-memory-bert")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._source: Source | None = None
        self._opening: asyncio.Task[Batcher] | None = None
        self._opening_since = 0.0
        self._opening_seconds = 0.0
        self._failure: tuple[EmbeddingError, float] | None = None
        self._batcher: Batcher | None = None
        self._closed = False
        self._stop = threading.Event()

    @property
    def dimension(self) -> int:
        """Number of components of a vector. Valid after `identify`."""
        return self._identified().dimension

    @property
    def fingerprint(self) -> str:
        """``name/dimension/weights-settings``, see `Identity`. Valid after `identify`."""
        return self._identified().fingerprint

    @property
    def runtime(self) -> str:
        """``torch``, ``onnx`` or ``onnx-int8``. Valid after `identify`.

        With ``auto`` it may turn from ``onnx`` to ``torch`` when the model is loaded, which changes no vector.
        """
        self._identified()
        return self._runtime

    async def identify(self) -> None:
        """Finds the model, reads its fingerprint from its files and chooses the runtime, without loading anything.

        Raises:
            MissingExtra: The bundled model or the runtime is asked for and not installed.
            EmbeddingError: There is no such model on this machine, or the embedder is closed.
        """
        self._refuse_if_closed()
        if self._source is None:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._executor, self._identify)
            self._source, self._runtime, self._opening_seconds = found

    async def open(self) -> None:
        """Loads the model and encodes a text, on the embedder's thread. Does nothing when it is open.

        The first text to embed does the same. A load goes on when those who wait for it are cancelled, so that
        the next one finds it done. One that failed is tried again by the first call a minute later; until then
        calls fail with the same error.

        Raises:
            MissingExtra: The bundled model or the runtime is asked for and not installed.
            EmbeddingError: The model cannot be loaded, exported or trusted, or the embedder is closed or belongs to
                another event loop.
        """
        await self._opened()

    async def close(self) -> None:
        """Finishes the calls under way, refuses later ones and frees the model. Idempotent.

        Calls that still wait for the model to load fail, and a process that exports it is ended.

        Raises:
            EmbeddingError: It belongs to another event loop.
        """
        self._closed = True
        self._stop.set()
        if self._batcher is not None:
            self._own_loop()
            await self._batcher.close()
        self._executor.shutdown(wait=False)
        self._batcher = None
        self._opening = None

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a question: float32 of shape (dimension,), unit norm. One of several parts gets their mean.

        Raises:
            EmbeddingError: The model failed, or the embedder is closed or belongs to another event loop.
        """
        rows = await (await self._opened()).query(text)
        if len(rows) == 1:
            return rows[0].copy()
        vector: NDArray[np.float32] = unit_rows(np.mean(rows, axis=0, keepdims=True, dtype=np.float32))[0]
        return vector

    async def embed_passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """The vectors of texts, one array per text: float32 of shape (parts, dimension), unit rows.

        Raises:
            EmbeddingError: The model failed, or the embedder is closed or belongs to another event loop.
        """
        batcher = await self._opened()
        return [np.stack(rows) for rows in await batcher.passages(texts)]

    def backlog_seconds(self, text: str = "") -> float:
        """How long a query that came now would wait before its batch starts, estimated, ≥ 0.

        While the model loads, what that usually still takes; 0.0 before, so that somebody comes to have it loaded.
        Nothing is remembered here, so `text` does not matter.
        """
        del text
        if self._batcher is not None:
            return self._batcher.backlog_seconds()
        if self._opening is not None and not self._opening.done():
            return abs(self._opening_seconds - (time.perf_counter() - self._opening_since))
        return 0.0

    async def _opened(self) -> Batcher:
        """The batcher, once the model is there."""
        self._refuse_if_closed()
        self._own_loop()
        if self._batcher is not None:
            return self._batcher
        if self._opening is None or self._opening.done():
            self._refuse_if_just_failed()
            self._opening_since = time.perf_counter()
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(_seen)
        return await asyncio.shield(self._opening)

    async def _open(self) -> Batcher:
        await self.identify()
        try:
            encoder, pace = await asyncio.get_running_loop().run_in_executor(self._executor, self._load)
        except EmbeddingError as error:
            self._failure = error, time.monotonic()
            raise
        self._refuse_if_closed()
        self._runtime = encoder.runtime
        self._batcher = Batcher(
            self._executor,
            encoder.encode,
            split_query=encoder.split_query,
            split_passage=encoder.split_passage,
            batch_size=self._batch_size,
            pace=pace,
            wait_seconds=0.0 if encoder.runtime == INT8 else self._batch_wait_seconds,
        )
        return self._batcher

    def _identify(self) -> tuple[Source, str, float]:
        """The model, its runtime, and how long loading it usually takes. Runs on the embedder's thread."""
        runtime = resolve(self._wanted_runtime)
        source = find_source(
            self._model,
            query_prefix=self._query_prefix,
            passage_prefix=self._passage_prefix,
            threads=self._threads,
            cache=self._cache,
        )
        return source, runtime, usual_seconds(source, runtime)

    def _load(self) -> tuple[Encoder, Pace]:
        """Runs on the embedder's thread. The first text through a model is slow, so the second sets the pace."""
        self._refuse_if_closed()
        encoder = load_encoder(
            self._identified(), runtime=self._runtime, fall_back=self._wanted_runtime == AUTO, stop=self._stop
        )
        if encoder.dimension != self.dimension:
            raise EmbeddingError(
                f"the embedding model gives {encoder.dimension} components, not the {self.dimension} of its files"
            )
        pace = Pace()
        parts = encoder.split_query(_WARM_UP_TEXT)
        try:
            encoder.encode(parts)
            started = time.perf_counter()
            encoder.encode(parts)
        except Exception as error:
            raise EmbeddingError(f"the embedding model {self._model} fails on a plain text") from error
        pace.observe(parts[0].tokens, time.perf_counter() - started)
        return encoder, pace

    def _own_loop(self) -> None:
        """Binds the embedder to the running loop, or refuses another."""
        running = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = running
        if self._loop is not running:
            raise EmbeddingError(
                "the embedder belongs to another event loop", hint="make one embedder for each loop, or use one loop"
            )

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EmbeddingError("the embedder is closed")

    def _refuse_if_just_failed(self) -> None:
        if self._failure is None:
            return
        error, since = self._failure
        left = since + _RETRY_SECONDS - time.monotonic()
        if left > 0:
            raise EmbeddingError(error.message, hint=error.hint) from error

    def _identified(self) -> Source:
        if self._source is None:
            raise EmbeddingError("the embedding model is not identified yet", hint="await identify() or open() first")
        return self._source


def _seen(opening: asyncio.Task[Batcher]) -> None:
    """Takes note of a failure nobody waits for any more; the next call tries again and reports its own."""
    if not opening.cancelled():
        opening.exception()
