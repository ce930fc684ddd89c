"""BERT embeddings in the process, over sentence-transformers.

Importing this package loads neither torch nor sentence-transformers; `BertEmbedder.open` does, on the
embedder's own thread.
"""

from router_memory.backends.bert.embedder import BertEmbedder

__all__ = ["BertEmbedder"]
