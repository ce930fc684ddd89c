"""From a model's directory to an encoder over the runtime that was asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from router_memory.backends.bert.onnx import exported, load_onnx
from router_memory.backends.bert.runtimes import TORCH
from router_memory.backends.bert.torch_encoder import load_torch
from router_memory.errors import EmbeddingError, MissingExtra

if TYPE_CHECKING:
    import threading

    from router_memory.backends.bert.encoder import Encoder
    from router_memory.backends.bert.source import Source

__all__ = ["load_encoder", "usual_seconds"]

_log = logging.getLogger("router_memory.bert")

# On two cores with the bundled model: most of it importing torch and sentence-transformers; for an export that, too.
_TORCH_SECONDS, _ONNX_SECONDS, _EXPORT_SECONDS = 5.0, 0.5, 15.0


def load_encoder(source: Source, *, runtime: str, fall_back: bool, stop: threading.Event | None = None) -> Encoder:
    """Loads a model. Blocks: see `usual_seconds`.

    Args:
        source: The model.
        runtime: One of `RUNTIMES`. ``onnx`` and ``onnx-int8`` export the model first where that was not done.
        fall_back: Whether torch is taken where `runtime` does not work; a warning is logged then.
        stop: When set, an export is given up, and nothing is loaded in its place.

    Raises:
        EmbeddingError: It cannot be loaded, exported or trusted, or was stopped.
        MissingExtra: What exporting needs is not installed.
    """
    if runtime != TORCH:
        try:
            return load_onnx(source, runtime, stop=stop)
        except (EmbeddingError, MissingExtra) as error:
            if not fall_back or (stop is not None and stop.is_set()):
                raise
            _log.warning("the embedding runtime is torch: %s cannot be used: %s", runtime, error)
    return load_torch(
        source.directory,
        query_prefix=source.query_prefix,
        passage_prefix=source.passage_prefix,
        threads=source.threads,
    )


def usual_seconds(source: Source, runtime: str) -> float:
    """How long `load_encoder` usually takes."""
    if runtime == TORCH:
        return _TORCH_SECONDS
    return _ONNX_SECONDS if exported(source, runtime) else _EXPORT_SECONDS
