"""The Valkey store: Valkey Search finds, hashes hold, valkey-glide connects."""

from __future__ import annotations

from router_memory.backends.valkey.connection import Connection
from router_memory.backends.valkey.settings import Tls
from router_memory.backends.valkey.store import ValkeyStore

__all__ = ["Connection", "Tls", "ValkeyStore"]
