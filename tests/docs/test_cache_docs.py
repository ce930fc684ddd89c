"""The page of the hot cache says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from router_memory.backends.valkey import ValkeyCache
from router_memory.cache import breaker
from router_memory.types import CacheLevel

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cache.md").read_text()
SOURCES = [*(ROOT / "router_memory/cache").glob("*.py"), ROOT / "router_memory/pipeline/cached.py"]
CODE = "".join(path.read_text() for path in SOURCES)


def test_every_counter_is_explained() -> None:
    """Those the code counts are those of the table."""
    counted = set(re.findall(r'meters\.count\("([^"]+)"', CODE))
    counted |= {f"{what}.failed" for what in re.findall(r'\.failed\("([a-z]+)"', CODE)}
    counted |= {"fill.kept", "fill.refused"}  # one line counts either
    counted |= {f"{level.value}.hit" for level in (CacheLevel.LOCAL, CacheLevel.SHARED)}
    explained = set(re.findall(r"`cache\.([a-z0-9 ._]+)`", PAGE))
    assert counted == explained


def test_the_least_rights_are_those_of_the_client() -> None:
    """Word for word."""
    documented = ValkeyCache.__doc__ or ""
    line = next(line for line in PAGE.splitlines() if line.startswith("user router-cache"))
    rights = re.findall(r"\+[a-z|]+", line)
    assert rights == re.findall(r"\+[a-z|]+", documented.split("PREFIX*")[1])[: len(rights)]


@pytest.mark.parametrize(
    "key", ["coherence", "epoch_max_age_ms", "cache_timeout_ms", "local_mb", "embedding_ttl_seconds"]
)
def test_keys_are_those_of_the_configuration(key: str) -> None:
    """As the table of all keys has them."""
    assert f"`memory.redis_cache.{key}`" in (ROOT / "docs/configuration.md").read_text()
    assert f"`{key}`" in PAGE


def test_the_pauses_of_the_breaker_are_those_of_the_code() -> None:
    """In seconds."""
    assert f"every {breaker._FIRST_PAUSE_SECONDS:g}".replace("0.", ".") in PAGE
    assert f"to {breaker._LONGEST_PAUSE_SECONDS:g} s" in PAGE
