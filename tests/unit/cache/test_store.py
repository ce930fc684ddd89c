"""The store before which the cache stands: everything goes through, and writes are seen."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest

from router_memory.cache import CachedStore, Epochs, LocalCache, Meters
from router_memory.errors import BackendRejected, BackendTimeout, BackendUnavailable
from router_memory.protocols import MemoryStore
from router_memory.types import Scope
from tests.doubles import HashingEmbedder
from tests.doubles_cache import MemoryHotCache
from tests.unit.cache.parts import ALICE, AT, BOB, answer, asked, shared_cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.cache import SharedCache

METHODS = [name for name, _ in inspect.getmembers(MemoryStore, inspect.isfunction) if not name.startswith("_")]
PROPERTIES = [name for name, _ in inspect.getmembers(MemoryStore, lambda member: isinstance(member, property))]
ERASING: dict[str, tuple[Any, ...]] = {
    "forget": (ALICE, ["id"]),
    "forget_scope": (ALICE,),
    "update": (ALICE, "id", object()),
}
WRITING: dict[str, tuple[Any, ...]] = {"add": (ALICE, []), **ERASING}


class Recorder:
    """Takes any call of a store's, and gives a value of its own for each."""

    def __init__(self) -> None:
        self.called: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        if name in PROPERTIES:
            return f"the {name}"
        if name not in METHODS:
            raise AttributeError(name)
        if inspect.iscoroutinefunction(getattr(MemoryStore, name)):
            return self._call(name)
        return lambda *args, **kwargs: (name, args, kwargs)

    def _call(self, name: str) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> str:
            self.called.append((name, args, kwargs))
            await self.gate.wait()
            if self.failure is not None and name != "close":
                raise self.failure
            return f"what {name} gives"

        return call


async def turns() -> None:
    """A few turns of the event loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def asked_to_purge(server: MemoryHotCache) -> None:
    """Once the server has got the first call."""
    await turns()
    assert server.calls == ["purge"]


class Parts:
    """A cached store over a recorder, with something in both levels."""

    def __init__(self, server: MemoryHotCache | None = None) -> None:
        self.inner = Recorder()
        self.epochs = Epochs(cast("MemoryStore", self.inner), max_age=60.0)
        self.local = LocalCache(most_bytes=10**6, most_entries=10, ttl=60.0, meters=Meters(Counter()))
        self.shared: SharedCache | None = None
        if server is not None:
            self.shared = shared_cache(server, HashingEmbedder(), Meters(Counter()), timeout=0.05)
        self.store = CachedStore(
            cast("MemoryStore", self.inner), epochs=self.epochs, local=self.local, shared=self.shared
        )
        for scope in (ALICE, BOB):
            self.local.put(asked(scope=scope), answer("green tea", scope=scope))
            self.epochs.note(scope, "one", self.epochs.mark(scope))

    def kept(self, scope: Scope) -> bool:
        return self.local.get(asked(scope=scope)) is not None


@pytest.mark.parametrize("name", METHODS)
async def test_every_call_goes_through_with_its_arguments(name: str) -> None:
    """The signature is the protocol's, so a new method without one here fails."""
    parts = Parts()
    assert inspect.signature(getattr(CachedStore, name)) == inspect.signature(getattr(MemoryStore, name))
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for parameter in list(inspect.signature(getattr(MemoryStore, name)).parameters.values())[1:]:
        value: Any = ALICE if parameter.name == "scope" else object()
        if parameter.kind is parameter.KEYWORD_ONLY:
            kwargs[parameter.name] = value
        else:
            args.append(value)
    given = getattr(parts.store, name)(*args, **kwargs)
    if inspect.isawaitable(given):
        assert await given in {f"what {name} gives", None}
        assert parts.inner.called == [(name, tuple(args), kwargs)]
    else:
        assert given == (name, tuple(args), kwargs)


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_is_the_stores(name: str) -> None:
    """A new one without delegation fails."""
    assert getattr(Parts().store, name) == f"the {name}"


@pytest.mark.parametrize("name", WRITING)
async def test_every_write_is_seen(name: str) -> None:
    """Of its user alone."""
    parts = Parts()
    mark, other = parts.epochs.mark(ALICE), parts.epochs.mark(BOB)
    await getattr(parts.store, name)(*WRITING[name])
    assert [parts.epochs.remembered(ALICE), parts.epochs.remembered(BOB)] == [None, "one"]
    assert [parts.epochs.unchanged(ALICE, mark), parts.epochs.unchanged(BOB, other)] == [False, True]
    assert [parts.kept(ALICE), parts.kept(BOB)] == [name not in ERASING, True]


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("how", ["timeout", "rejected"])
async def test_a_write_that_fails_may_have_taken_effect(name: str, how: str) -> None:
    """So it is taken for one that has."""
    server = MemoryHotCache()
    parts = Parts(server)
    mark = parts.epochs.mark(ALICE)
    parts.inner.gate.clear()
    writing = asyncio.create_task(getattr(parts.store, name)(*WRITING[name]))
    await asyncio.sleep(0)
    assert parts.epochs.unchanged(ALICE, mark)  # nothing has been acknowledged
    kind = BackendTimeout if how == "timeout" else BackendRejected
    parts.inner.failure = kind("no", backend="recorder", operation=name)
    parts.inner.gate.set()
    with pytest.raises(kind):
        await writing
    assert [parts.epochs.remembered(ALICE), parts.epochs.unchanged(ALICE, mark)] == [None, False]
    assert parts.kept(ALICE) is (name not in ERASING)
    parts.inner.failure = None
    await parts.store.close()
    assert server.calls == (["purge"] if name in ERASING else [])


async def test_an_add_that_is_cancelled_may_have_taken_effect() -> None:
    """Nobody waits for it any more."""
    parts = Parts()
    mark = parts.epochs.mark(ALICE)
    parts.inner.gate.clear()
    adding = asyncio.create_task(parts.store.add(ALICE, []))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert [parts.epochs.remembered(ALICE), parts.epochs.unchanged(ALICE, mark)] == [None, False]


@pytest.mark.parametrize("name", ERASING)
@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_cached_while_an_erasure_that_nobody_waits_for_goes_on_does_not_stay(
    name: str, fails: bool
) -> None:
    """The store may write on, so the cache is rid of it after that, and not before; the store waits with its end."""
    server = MemoryHotCache()
    parts = Parts(server)
    mark = parts.epochs.mark(ALICE)
    parts.inner.gate.clear()
    erasing = asyncio.create_task(getattr(parts.store, name)(*ERASING[name]))
    await turns()
    erasing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await erasing
    parts.local.put(asked(), answer("green tea"))
    closing = asyncio.create_task(parts.store.close())
    await turns()
    assert [closing.done(), server.calls, [called for called, *_ in parts.inner.called]] == [False, [], [name]]
    if fails:
        parts.inner.failure = BackendTimeout("no", backend="recorder", operation=name)
    parts.inner.gate.set()
    await closing
    assert [parts.kept(ALICE), parts.kept(BOB), server.calls] == [False, True, ["purge"]]
    assert [parts.epochs.remembered(ALICE), parts.epochs.unchanged(ALICE, mark)] == [None, False]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("name", ERASING)
async def test_what_is_taken_away_leaves_both_levels_before_the_call_ends(name: str) -> None:
    """A caller who was told so can rely on it."""
    server = MemoryHotCache()
    parts = Parts(server)
    server.gate.clear()
    erasing = asyncio.create_task(getattr(parts.store, name)(*ERASING[name]))
    await asked_to_purge(server)
    assert [parts.kept(ALICE), parts.kept(BOB), erasing.done()] == [False, True, False]
    server.gate.set()
    assert await erasing == f"what {name} gives"
    assert server.calls == ["purge"]


async def test_a_caller_who_leaves_does_not_stop_the_purge() -> None:
    """Nor does the end of the store."""
    server = MemoryHotCache()
    parts = Parts(server)
    server.gate.clear()
    erasing = asyncio.create_task(parts.store.forget(ALICE, ["id"]))
    await asked_to_purge(server)
    erasing.cancel()
    await asyncio.gather(erasing, return_exceptions=True)
    closing = asyncio.create_task(parts.store.close())
    await asyncio.sleep(0)
    assert not closing.done()
    server.gate.set()
    await closing
    assert (await server.get(ALICE.user_digest, bytes(32), within=1)).lease


async def test_a_cache_that_is_away_fails_no_forget() -> None:
    """It takes no longer than the cache may take."""
    server = MemoryHotCache()
    server.failure = BackendUnavailable("away", backend="memory", operation="purge")
    parts = Parts(server)
    assert await parts.store.forget(ALICE, ["id"]) == cast("Any", "what forget gives")
    assert not parts.kept(ALICE)
    await parts.store.close()
    assert parts.shared is not None
    await parts.shared.close()


async def test_what_changes_no_answer_purges_nothing() -> None:
    """Access tracking comes with every request."""
    server = MemoryHotCache()
    parts = Parts(server)
    mark = parts.epochs.mark(ALICE)
    await parts.store.touch(ALICE, ["id"], AT)
    assert [parts.kept(ALICE), parts.epochs.remembered(ALICE), parts.epochs.unchanged(ALICE, mark)] == [
        True,
        "one",
        True,
    ]
    await parts.store.add(ALICE, [])
    assert [parts.kept(ALICE), server.calls] == [True, []]
