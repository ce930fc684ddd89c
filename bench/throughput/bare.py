"""Embedders as one would use them without this project: what ours are held to.

They have the threads that they take by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from router_memory.backends.bert import find_source
from router_memory.backends.bert.locating import locate
from router_memory.backends.bert.onnx import export
from router_memory.backends.bert.onnx.encoder import quiet_onnxruntime
from router_memory.backends.bert.onnx.manifest import GRAPH, TOKENIZER

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["INT8", "TORCH", "Bare", "bare_int8", "bare_torch"]

TORCH, INT8 = "sentence-transformers", "onnxruntime int8"
_LONGEST = 256


class Bare(Protocol):
    """Turns texts into unit rows: float32 of shape (texts, dimension)."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """All of them in one batch."""
        ...


def bare_torch() -> Bare:
    """sentence-transformers over torch, normalising, as it comes."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate("bert")), device="cpu", local_files_only=True)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = model.encode(
            list(texts), batch_size=max(1, len(texts)), normalize_embeddings=True, show_progress_bar=False
        )
        return found

    return encode


def bare_int8() -> Bare:
    """The exported int8 graph and the tokenizer, filled up to the longest text, in a session as it comes."""
    from tokenizers import Tokenizer

    folder = export(find_source("bert"), "onnx-int8").folder
    session = quiet_onnxruntime().InferenceSession(str(folder / GRAPH), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(_LONGEST)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        found = tokenizer.encode_batch_fast(list(texts))
        values: dict[str, Any] = {
            "input_ids": [one.ids for one in found],
            "attention_mask": [one.attention_mask for one in found],
            "token_type_ids": [one.type_ids for one in found],
        }
        inputs = {one.name: np.array(values[one.name], dtype=np.int64) for one in session.get_inputs()}
        (rows,) = session.run(None, inputs)
        vectors: NDArray[np.float32] = rows
        return vectors

    return encode
