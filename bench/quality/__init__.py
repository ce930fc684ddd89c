"""Retrieval quality through the product's own path: configuration, write path, search."""
