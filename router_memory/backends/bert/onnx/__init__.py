"""A model over ONNX Runtime: exported once by sentence-transformers, kept on disk, verified against it.

Importing this package loads neither onnxruntime nor torch.
"""

from router_memory.backends.bert.onnx.exports import Export, export, exported, find, flaw, load_onnx
from router_memory.backends.bert.onnx.folders import folder_of
from router_memory.backends.bert.onnx.verification import Verification, compare, fixed_parts

__all__ = [
    "Export",
    "Verification",
    "compare",
    "export",
    "exported",
    "find",
    "fixed_parts",
    "flaw",
    "folder_of",
    "load_onnx",
]
