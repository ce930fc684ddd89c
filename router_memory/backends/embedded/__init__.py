"""The embedded store: SQLite is the truth, numpy and usearch find nearest vectors."""

from __future__ import annotations

from router_memory.backends.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
