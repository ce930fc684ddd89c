"""The embedder over sentence-transformers."""
