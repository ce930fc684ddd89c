"""An exported model over ONNX Runtime."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert.cpus import model_threads
from router_memory.backends.bert.encoder import unit_rows
from router_memory.backends.bert.onnx.manifest import GRAPH, TOKENIZER
from router_memory.backends.bert.runtimes import INT8

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

    from router_memory.backends.bert.onnx.manifest import Facts
    from router_memory.backends.bert.source import Source
    from router_memory.backends.bert.splitting import Part

__all__ = ["OnnxEncoder", "open_encoder", "quiet_onnxruntime"]


class OnnxEncoder:
    """An `Encoder` over ONNX Runtime and the tokenizers library.

    An int8 graph scales the activations by the extremes of all it is given at once, so a text's vector would depend
    on the texts beside it, by as much as int8 differs from fp32 (cosine .991). It gets one text at a time.

    Attributes:
        runtime: ``onnx`` or ``onnx-int8``.
        dimension: Number of components of a vector.
        max_tokens: Longest sequence the model reads, special tokens included.

    Args:
        session: The graph.
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
        self._session = session
        self._tokenizer = tokenizer
        self._facts = facts
        self._query = facts.reading.splitter(self._spans, source.query_prefix)
        self._passage = facts.reading.splitter(self._spans, source.passage_prefix)

    def split_query(self, text: str) -> list[Part]:
        """See `Encoder.split_query`."""
        return self._query.split(text)

    def split_passage(self, text: str) -> list[Part]:
        """See `Encoder.split_passage`."""
        return self._passage.split(text)

    def encode(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        """See `Encoder.encode`."""
        found = self._tokenized([part.text for part in parts])
        together = [[one] for one in found] if self.runtime == INT8 else [found]
        return unit_rows(np.concatenate([self._run(batch) for batch in together]))

    def _run(self, batch: Sequence[Encoding]) -> NDArray[np.float32]:
        (vectors,) = self._session.run(None, self._features(batch))
        rows: NDArray[np.float32] = vectors
        return rows

    def _features(self, batch: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
        """The graph's inputs, filled up to the longest sequence."""
        facts = self._facts
        lengths = [len(one.ids) for one in batch]
        shape = len(batch), max(lengths)
        filled = {"input_ids": facts.pad_id, "token_type_ids": facts.pad_type_id, "attention_mask": 0}
        features = {name: np.full(shape, filled[name], dtype=np.int64) for name in facts.inputs}
        for row, (one, length) in enumerate(zip(batch, lengths, strict=True)):
            place = slice(shape[1] - length, None) if facts.pad_left else slice(length)
            for name, array in features.items():
                array[row, place] = _VALUES[name](one)
        return features

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

    def _spans(self, text: str) -> Sequence[tuple[int, int]]:
        return self._tokenizer.encode(text, add_special_tokens=False).offsets


_VALUES = {
    "input_ids": lambda one: one.ids,
    "token_type_ids": lambda one: one.type_ids,
    "attention_mask": lambda one: one.attention_mask,
}
"""Where the tokenizers library keeps what the graph's inputs are called."""


def quiet_onnxruntime() -> ModuleType:
    """Imports onnxruntime and has it send nothing to its maker, which some builds do. Before a session is made."""
    onnxruntime = importlib.import_module("onnxruntime")
    disable = getattr(onnxruntime, "disable_telemetry_events", None)
    if disable is not None:
        disable()
    return onnxruntime


def open_encoder(folder: Path, facts: Facts, source: Source, runtime: str) -> OnnxEncoder:
    """Loads an export. Raises whatever onnxruntime and tokenizers raise where the files are no good."""
    from tokenizers import Tokenizer  # runs on the embedder's thread

    onnxruntime = quiet_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = model_threads(source.threads)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors, which are raised as well
    session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    return OnnxEncoder(session, tokenizer, facts, source, runtime)
