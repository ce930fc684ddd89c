"""What a process of its own holds in memory once it has searched."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.scale.data import Corpus, query
from bench.scale.settings import PER_USER, Settings
from bench.scale.storing import opened

__all__ = ["of_scope", "of_users"]

_STATUS = Path("/proc/self/status")
_WARM = 50
_USERS = 3_000
"""More than fit into the cache that the store has by default."""


async def of_users(path: Path, settings: Settings) -> dict[str, float]:
    """Bytes held once as many users were searched as fit into the cache."""
    return await _elsewhere(_fill, path, settings)


async def of_scope(path: Path, settings: Settings) -> dict[str, float]:
    """Bytes held once the one user was searched; those of the mapped graph apart, which the system may take back."""
    return await _elsewhere(_search, path, settings)


async def _elsewhere(
    work: Callable[[Path, Settings], Coroutine[Any, Any, dict[str, float]]], path: Path, settings: Settings
) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, _run, work, path, settings)


def _run(
    work: Callable[[Path, Settings], Coroutine[Any, Any, dict[str, float]]], path: Path, settings: Settings
) -> dict[str, float]:
    return asyncio.run(work(path, settings))


async def _fill(path: Path, settings: Settings) -> dict[str, float]:
    corpus = Corpus(settings.seed)
    users = min(_USERS, settings.users)
    vectors = corpus.asked(0, _WARM)
    async with opened(path) as store:
        last = corpus.scope(settings.users - 1)
        for vector in vectors:  # what the first searches load is not the users'
            await store.candidates(query(last, vector, ()))
        before = _resident()
        for user in range(users):
            stems = corpus.question(user, 0, PER_USER)
            await store.candidates(query(corpus.scope(user), vectors[user % _WARM], stems))
        after = _resident()
        held = int(str((await store.stats()).details["snapshot_vectors"]))
        return {
            "searched_users": users,
            "hot_vectors": float(held),
            "full": float(held < users * PER_USER),
            "anonymous_bytes": after["RssAnon"] - before["RssAnon"],
        }


async def _search(path: Path, settings: Settings) -> dict[str, float]:
    corpus = Corpus(settings.seed)
    before = _resident()
    async with opened(path, promote_at=settings.promote_at) as store:
        await store.candidates(query(corpus.scope(0), corpus.asked(0, 1)[0], ()))
        await store.settle()
        for vector in corpus.asked(0, settings.queries):
            await store.candidates(query(corpus.scope(0), vector, ()))
        after = _resident()
        return {
            "anonymous_bytes": after["RssAnon"] - before["RssAnon"],
            "mapped_bytes": after["RssFile"] - before["RssFile"],
        }


def _resident() -> dict[str, int]:
    """Bytes in memory of the process: its own, and those of mapped files. Nought where the system does not say."""
    gc.collect()
    found = {"RssAnon": 0, "RssFile": 0}
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024
    return found
