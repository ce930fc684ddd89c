"""The Valkey store: Valkey Search finds, hashes hold, valkey-glide connects. And a hot cache that needs no Search."""

from __future__ import annotations

from router_memory.backends.valkey.connection import Connection
from router_memory.backends.valkey.hotcache import ValkeyCache
from router_memory.backends.valkey.settings import Tls
from router_memory.backends.valkey.store import ValkeyStore

__all__ = ["Connection", "Tls", "ValkeyCache", "ValkeyStore"]
