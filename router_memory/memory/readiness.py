"""Whether memory can be used now, for probes that come often."""

from __future__ import annotations

import asyncio
from time import monotonic

from router_memory.errors import RouterMemoryError
from router_memory.types import CheckStatus, Finding, Scope
from router_memory.wiring import Assembly

__all__ = ["FRESH_SECONDS", "INDEX", "MODEL", "STORE", "Readiness"]

FRESH_SECONDS = 1.0
"""How old a finding may be that is given again."""

MODEL = "model"
STORE = "store"
INDEX = "index"

_PROBE = Scope("router-memory:probe")
"""Whose epoch is asked for: nobody's."""


class Readiness:
    """Looks at a memory's parts, at most once a second, once for all who ask at the same time.

    Args:
        parts: What is looked at.
    """

    def __init__(self, parts: Assembly) -> None:
        self._parts = parts
        self._found: tuple[Finding, ...] = ()
        self._at = -FRESH_SECONDS
        self._looking: asyncio.Task[tuple[Finding, ...]] | None = None

    async def look(self, within: float) -> tuple[Finding, ...]:
        """The findings; see `State.ready`."""
        if not self._parts.opened:
            return (Finding(MODEL, CheckStatus.FAIL, "memory is not open"),)
        if self._found and monotonic() - self._at < FRESH_SECONDS:
            return self._found
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(within), name="router-memory-ready")
        return await asyncio.shield(self._looking)

    async def _look(self, within: float) -> tuple[Finding, ...]:
        self._found = (self._model(), *await self._store(within))
        self._at = monotonic()
        return self._found

    def _model(self) -> Finding:
        if not self._parts.config.any_enabled:
            return Finding(MODEL, CheckStatus.OK, "no decision uses memory, so none is loaded")
        embedder = self._parts.embedder
        return Finding(MODEL, CheckStatus.OK, f"{embedder.fingerprint.split('/')[0]} computes with {embedder.runtime}")

    async def _store(self, within: float) -> tuple[Finding, ...]:
        store = self._parts.store
        began = monotonic()
        try:
            async with asyncio.timeout(within):
                await store.epoch(_PROBE)
        except TimeoutError:
            return (Finding(STORE, CheckStatus.FAIL, f"no answer within {within:g} s"),)
        except RouterMemoryError as error:
            return (Finding(STORE, CheckStatus.FAIL, error.message, error.hint),)
        took = monotonic() - began
        answers = Finding(
            STORE, CheckStatus.OK, f"{store.name} answers in {took * 1000:.1f} ms", data={"seconds": took}
        )
        return answers, _index(store.index_progress)


def _index(progress: float) -> Finding:
    data = {"progress": progress}
    if progress >= 1:
        return Finding(INDEX, CheckStatus.OK, "it holds every memory", data=data)
    found = f"it fills: {progress:.0%} of the memories can be found"
    return Finding(INDEX, CheckStatus.FAIL, found, "wait; searches give what is there", data)
