"""The search when the server answers oddly: an index that is gone, never there, short, or of somebody else."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast
from unittest.mock import patch

import pytest

from router_memory.backends.valkey import Connection, ValkeyStore
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.schema import Layout
from router_memory.backends.valkey.translate import IndexMissing
from router_memory.errors import BackendRejected, BackendUnavailable, IndexMismatch
from router_memory.types import Scope
from tests.contract.samples import DIMENSION, FINGERPRINT, query
from tests.recorded.form import decode, load

ALICE = Scope("alice")
RECORDED = load()
LAYOUT = Layout(DIMENSION, FINGERPRINT)
TOKEN = LAYOUT.token.encode()
ROW = {
    b"distance": b"0.1",
    b"memory": b'[null,null,null,null,0,"' + b"1" * 32 + b'"]\0["text",0,{},1]',
    b"state": b"semantic 0.5 0 0 -",
}


class _Odd:
    """A connection whose searches all get one reply; the index seems to be there and ready."""

    timeout, location, database, cluster = 60.0, "odd:1/0", 0, False

    def __init__(self, found: Any, *, user: bytes = b"alice", ready: bytes = b"ready", counted: int = 3) -> None:
        self.found = found
        self.counted = counted
        self.user = user
        self.ready = ready
        self.sent: list[list[Any]] = []

    async def open(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""

    def _info(self) -> Any:
        raw = decode(RECORDED["infos"]["flat"])
        raw = dict(zip(raw[::2], raw[1::2], strict=True)) if isinstance(raw, list) else dict(raw)
        definition = [b"key_type", b"HASH", b"prefixes", [b"mem:{"]]
        return raw | {b"state": self.ready, b"mutation_queue_size": b"0", b"index_definition": definition}

    async def command(self, operation: str, *args: Any, key: str | None = None, everywhere: bool = False) -> Any:
        """FT.INFO."""
        del operation, key, everywhere
        assert args[0] == "FT.INFO"
        return self._info()

    async def run(self, *_: Any) -> Any:
        """The claim."""
        return [b"version", b"1", b"dimension", str(DIMENSION).encode(), b"fingerprint", FINGERPRINT.encode()]

    async def pipeline(self, operation: str, commands: Any, **_: Any) -> list[Any]:
        """One answer for each command, by its name."""
        del operation
        self.sent.append([command[0] for command in commands])
        answers = {
            "HMGET": [b"e", self.user, b"3", b"3", TOKEN],
            "HGET": b"e",
            "FT.INFO": self._info(),
            "FT.SEARCH": self.found,
        }
        return [
            [self.counted]
            if "=>" not in str(command) and "PARAMS" not in command and command[0] == "FT.SEARCH"
            else answers[command[0]]
            for command in commands
        ]


async def _opened(odd: _Odd) -> ValkeyStore:
    store = ValkeyStore(cast("Connection", odd), dimension=DIMENSION, fingerprint=FINGERPRINT)
    await store.open()
    return store


async def test_an_index_that_stays_missing_is_an_error() -> None:
    """Never an empty answer: that would read as no memories."""
    gone = IndexMissing("odd:1/0: no such index", backend="valkey", operation="candidates")
    store = await _opened(_Odd(gone))
    with pytest.raises(IndexMissing):
        await store.candidates(query(ALICE))


async def test_a_short_index_is_looked_into() -> None:
    """It holds fewer vectors than the user has: the answer is partial, and not taken for one of this state."""
    odd = _Odd([1, {Keys.of("mem:", ALICE).record("id").encode(): ROW}], counted=2)
    store = await _opened(odd)
    result = await store.candidates(query(ALICE))
    assert (len(result.candidates), result.partial) == (1, True)
    assert result.epoch != "e"
    asked = len(odd.sent)
    assert asked > 1
    again = await store.candidates(query(ALICE))
    assert (again.partial, len(odd.sent)) == (True, asked + 1), "what is known is not tried again"


async def test_nothing_from_a_short_index_is_an_error() -> None:
    """A user who has memories is never told that there are none."""
    store = await _opened(_Odd([0, {}], counted=0))
    with pytest.raises(BackendUnavailable, match="being built"):
        await store.candidates(query(ALICE), within=0.2)


async def test_data_of_another_embedder_are_refused() -> None:
    """They may lie in the same index when everything was flushed and another process came first."""
    odd = _Odd([0, {}])
    store = await _opened(odd)
    with patch.object(Layout, "token", "another"), pytest.raises(IndexMismatch, match="another process"):
        await store.candidates(query(ALICE))


@pytest.mark.parametrize("key", ["mem:{other}:id", "other:{}:id", "id"])
async def test_a_memory_of_another_user_is_held_back(key: str) -> None:
    """It cannot be found; if it is, nothing is given out."""
    store = await _opened(_Odd([1, {key.encode(): {b"distance": b"0.1"}}]))
    with pytest.raises(BackendRejected, match="held back"):
        await store.candidates(query(ALICE))


async def test_another_user_under_ones_digest_is_held_back() -> None:
    """Two ids of one digest are refused by the statistics, which name the user."""
    store = await _opened(_Odd([0, {}], user=b"mallory"))
    with pytest.raises(BackendRejected, match="another user"):
        await store.candidates(query(ALICE))


@pytest.mark.parametrize(
    "row",
    [{}, {b"memory": b"x", b"state": b"y"}, {b"memory": b"[]\0[]"}, {b"memory": b"\xff", b"state": b"\xff"}],
)
async def test_a_hit_that_cannot_be_read_is_a_typed_error(row: dict[bytes, bytes]) -> None:
    """Of what it holds the message says nothing."""
    key = Keys.of("mem:", ALICE).record("id").encode()
    odd = _Odd([1, {key: {b"distance": b"0.1"} | row}])
    store = await _opened(odd)
    if not row or b"state" not in row:
        odd.pipeline = _without_rows(odd)  # type: ignore[method-assign]
    with pytest.raises(BackendRejected, match="damaged"):
        await store.candidates(query(ALICE))


def _without_rows(odd: _Odd) -> Any:
    """A server whose hashes hold nothing more when they are read one by one."""

    async def pipeline(operation: str, commands: Any, **options: Any) -> list[Any]:
        replies = await _Odd.pipeline(odd, operation, commands, **options)
        pairs = zip(commands, replies, strict=True)
        return [[b"?", None, None] if sent[0] == "HMGET" and "meta" not in sent[1] else reply for sent, reply in pairs]

    return pipeline


async def test_the_server_is_never_given_more_than_it_takes() -> None:
    """TIMEOUT may be 60,000 ms at most, however long the configured one is."""
    odd = _Odd([0, {}])
    odd.timeout = 3_600.0
    seen: list[Any] = []
    original = odd.pipeline

    async def pipeline(operation: str, commands: Any, **options: Any) -> list[Any]:
        seen.extend(command for command in commands if command[0] == "FT.SEARCH")
        return await original(operation, commands, **options)

    odd.pipeline = pipeline  # type: ignore[method-assign]
    store = await _opened(odd)
    with suppress(BackendUnavailable):
        await store.candidates(query(ALICE))
    assert seen
    assert all(int(command[command.index("TIMEOUT") + 1]) <= 60_000 for command in seen)
