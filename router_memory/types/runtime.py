"""What computes embeddings, as far as it shows in the vectors."""

from __future__ import annotations

__all__ = ["precision"]

_INT8 = "int8"


def precision(runtime: str) -> str:
    """``int8`` or ``fp32``: runtimes of one precision give the same vectors to 1e-6, of two precisions they do not.

    Args:
        runtime: As `Embedder.runtime` names it, e.g. ``onnx-int8``.
    """
    return _INT8 if runtime.rpartition("-")[2] == _INT8 else "fp32"
