"""The hot cache: what keeps the answers of the store, and what keeps them from being stale.

Level 1 is in the process (`LocalCache`), level 2 on a server that all processes share (`SharedCache`, over a
`HotCache`). `Epochs` says which state of a user's data is the current one. `CachedStore` and `CachedEmbedder` wrap
what they are named after; `pipeline.cached` puts all of it before a search.
"""

from router_memory.cache.begun import Begun
from router_memory.cache.breaker import Breaker
from router_memory.cache.embedder import CachedEmbedder
from router_memory.cache.epochs import Epochs, Mark
from router_memory.cache.flights import Abandoned, Flight, Flights
from router_memory.cache.keys import Key, key_of, query_key, vector_key
from router_memory.cache.local import LocalCache
from router_memory.cache.look import Look
from router_memory.cache.meters import Meters
from router_memory.cache.odds import Odds
from router_memory.cache.purges import PURGE_NOW_SECONDS
from router_memory.cache.shared import SharedCache
from router_memory.cache.store import CachedStore

__all__ = [
    "PURGE_NOW_SECONDS",
    "Abandoned",
    "Begun",
    "Breaker",
    "CachedEmbedder",
    "CachedStore",
    "Epochs",
    "Flight",
    "Flights",
    "Key",
    "LocalCache",
    "Look",
    "Mark",
    "Meters",
    "Odds",
    "SharedCache",
    "key_of",
    "query_key",
    "vector_key",
]
