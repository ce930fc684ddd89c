"""Caches with one defect each, to see that the checker finds it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from router_memory.cache import Epochs, SharedCache
from router_memory.cache.codec import Unreadable, decode
from router_memory.pipeline.cached import CachedRetriever

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.types import Looked, Retrieval, Scope, SearchQuery

__all__ = ["MUTATIONS"]

_UNREAD = 20


def _reads_an_epoch_now_and_then() -> None:
    """What was the current epoch is taken for it the next times too, by level 1."""
    known: dict[str, str] = {}
    asked: Counter[str] = Counter()
    read = Epochs.current

    async def current(self: Epochs, scope: Scope) -> str:
        user = scope.user_id
        asked[user] += 1
        if not known.get(user) or asked[user] % _UNREAD == 0:
            known[user] = await read(self, scope)
        return known[user]

    Epochs.current = current  # type: ignore[method-assign]


def _joins_without_looking() -> None:
    """Who comes while an equal question is being answered takes that answer, whatever was written meanwhile."""

    async def is_new_enough(self: CachedRetriever, *arguments: object) -> bool:
        del self, arguments
        return True

    CachedRetriever._is_new_enough = is_new_enough  # type: ignore[assignment]


def _takes_any_state_from_level_2() -> None:
    """What the server holds is taken, of whatever state of the data it is."""

    def read(self: SharedCache, looked: Looked | None, query: SearchQuery, key: bytes, epoch: str) -> Retrieval | None:
        del self, epoch
        if looked is None or looked.value is None:
            return None
        try:
            return decode(looked.value, key, query.scope)
        except Unreadable:
            return None

    SharedCache.read = read  # type: ignore[method-assign]


def _remembers_through_own_writes() -> None:
    """The process's own writes do not end what it remembers; only seen where it remembers at all."""
    Epochs.wrote = lambda self, scope: None  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {
    "reads an epoch now and then": _reads_an_epoch_now_and_then,
    "joins without looking": _joins_without_looking,
    "takes any state from level 2": _takes_any_state_from_level_2,
    "remembers through own writes": _remembers_through_own_writes,
}
