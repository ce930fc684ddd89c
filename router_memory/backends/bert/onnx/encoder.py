"""An exported model over ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert.cpus import model_threads, wide_threads
from router_memory.backends.bert.encoder import unit_rows
from router_memory.backends.bert.onnx.manifest import GRAPH, TOKENIZER
from router_memory.backends.bert.onnx.sessions import Sessions, open_session, quiet_onnxruntime
from router_memory.backends.bert.runtimes import INT8

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

    from router_memory.backends.bert.onnx.manifest import Facts
    from router_memory.backends.bert.source import Source
    from router_memory.backends.bert.splitting import Part

__all__ = ["OnnxEncoder", "open_encoder", "quiet_onnxruntime"]

_PROBE = "What did we say about the trip last summer?"


class OnnxEncoder:
    """An `Encoder` over ONNX Runtime and the tokenizers library.

    An int8 graph scales the activations by the extremes of all it is given at once, so a text's vector would depend
    on the texts beside it, by as much as int8 differs from fp32 (cosine .991). It gets one text at a time.

    Attributes:
        runtime: ``onnx`` or ``onnx-int8``.
        dimension: Number of components of a vector.
        max_tokens: Longest sequence the model reads, special tokens included.

    Args:
        session: The graph, on the usual threads.
        tokenizer: The model's, without padding and truncation.
        facts: What the export says of the graph.
        source: The model.
        runtime: As above.

    Raises:
        EmbeddingError: The model has no room beside a prefix.
    """

    def __init__(
        self, session: InferenceSession, tokenizer: Tokenizer, facts: Facts, source: Source, runtime: str
    ) -> None:
        self.runtime = runtime
        self.dimension = source.dimension
        self.max_tokens = facts.reading.max_tokens
        self._sessions = Sessions(session)
        self._threads = source.threads
        self._tokenizer = tokenizer
        self._facts = facts
        self._query = facts.reading.splitter(self._spans, source.query_prefix, self._sequenced)
        self._passage = facts.reading.splitter(self._spans, source.passage_prefix, self._sequenced)

    def split_query(self, text: str) -> list[Part]:
        """See `Encoder.split_query`."""
        return self._query.split(text)

    def split_passage(self, text: str) -> list[Part]:
        """See `Encoder.split_passage`."""
        return self._passage.split(text)

    def encode(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        """See `Encoder.encode`."""
        found = self._sequences(parts)
        together = [[one] for one in found] if self.runtime == INT8 else [found]
        rows = [self._run(batch) for batch in together]
        return unit_rows(rows[0] if len(rows) == 1 else np.concatenate(rows))

    def widen(self, folder: Path) -> None:
        """Has the graph opened once more, in a while, on more threads that spin, and each pass take the faster session.

        Not where a number of threads is configured, or where there is only one CPU; see `wide_threads`.

        Args:
            folder: Where the export lies for good.
        """
        threads = wide_threads(self._threads)
        if threads:
            probe = self._features(self._tokenized([_PROBE]))
            self._sessions.widen(lambda: open_session(folder / GRAPH, threads, spinning=True), probe)

    @property
    def widened(self) -> bool:
        """Whether there is a second session now."""
        return self._sessions.widened

    def _run(self, batch: Sequence[Encoding]) -> NDArray[np.float32]:
        return self._sessions.run(self._features(batch))

    def _features(self, batch: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
        """The graph's inputs, filled up to the longest sequence."""
        facts = self._facts
        if len(batch) == 1:  # nothing to fill up
            return {name: np.array([_VALUES[name](batch[0])], dtype=np.int64) for name in facts.inputs}
        lengths = [len(one.ids) for one in batch]
        shape = len(batch), max(lengths)
        filled = {"input_ids": facts.pad_id, "token_type_ids": facts.pad_type_id, "attention_mask": 0}
        features = {name: np.full(shape, filled[name], dtype=np.int64) for name in facts.inputs}
        for row, (one, length) in enumerate(zip(batch, lengths, strict=True)):
            place = slice(shape[1] - length, None) if facts.pad_left else slice(length)
            for name, array in features.items():
                array[row, place] = _VALUES[name](one)
        return features

    def _sequences(self, parts: Sequence[Part]) -> list[Encoding]:
        """What the model reads: made while the texts were split, as a rule."""
        found = [part.sequence for part in parts if part.sequence is not None and len(part.sequence) <= self.max_tokens]
        return found if len(found) == len(parts) else self._tokenized([part.text for part in parts])

    def _tokenized(self, texts: Sequence[str]) -> list[Encoding]:
        """Parts fit as a rule; of a single character with more tokens than the model reads the first ones are taken."""
        found: list[Encoding] = self._tokenizer.encode_batch_fast(list(texts))
        if all(len(one.ids) <= self.max_tokens for one in found):
            return found
        self._tokenizer.enable_truncation(self.max_tokens)
        try:
            return self._tokenizer.encode_batch_fast(list(texts))
        finally:
            self._tokenizer.no_truncation()

    def _sequenced(self, text: str) -> Encoding:
        return self._tokenizer.encode(text)

    def _spans(self, text: str) -> Sequence[tuple[int, int]]:
        return self._tokenizer.encode(text, add_special_tokens=False).offsets


_VALUES = {
    "input_ids": lambda one: one.ids,
    "token_type_ids": lambda one: one.type_ids,
    "attention_mask": lambda one: one.attention_mask,
}
"""Where the tokenizers library keeps what the graph's inputs are called."""


def open_encoder(folder: Path, facts: Facts, source: Source, runtime: str) -> OnnxEncoder:
    """Loads an export. Raises whatever onnxruntime and tokenizers raise where the files are no good."""
    from tokenizers import Tokenizer  # runs on the embedder's thread

    session = open_session(folder / GRAPH, model_threads(source.threads))
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    return OnnxEncoder(session, tokenizer, facts, source, runtime)
