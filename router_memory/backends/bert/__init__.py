"""BERT embeddings in the process: sentence-transformers models over torch or ONNX Runtime.

Importing this package loads neither torch, sentence-transformers nor onnxruntime; `BertEmbedder.open` does, on the
embedder's own thread.
"""

from router_memory.backends.bert.embedder import BertEmbedder
from router_memory.backends.bert.runtimes import AUTO, ONNX, RUNTIMES, TORCH, check_runtime, resolve
from router_memory.backends.bert.source import Source, find_source

__all__ = [
    "AUTO",
    "ONNX",
    "RUNTIMES",
    "TORCH",
    "BertEmbedder",
    "Source",
    "check_runtime",
    "find_source",
    "resolve",
]
