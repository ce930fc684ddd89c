"""Level 2 over a server in memory, open for a test."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from router_memory.cache import Meters
from tests.doubles import HashingEmbedder
from tests.doubles_cache import MemoryHotCache
from tests.unit.cache.parts import settled, shared_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router_memory.cache import SharedCache


@pytest.fixture
def server() -> MemoryHotCache:
    return MemoryHotCache()


@pytest.fixture
def counters() -> Counter[str]:
    return Counter()


@pytest.fixture
async def shared(server: MemoryHotCache, counters: Counter[str]) -> AsyncIterator[SharedCache]:
    made = shared_cache(server, HashingEmbedder(), Meters(counters), timeout=0.5)
    await made.open()
    await settled(made)
    server.calls.clear()
    yield made
    await made.close()
