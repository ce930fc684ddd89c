"""One command for each of many keys, in slots of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from router_memory.backends.valkey.each import AT_ONCE, of_each
from router_memory.errors import BackendRejected

if TYPE_CHECKING:
    from router_memory.backends.valkey import Connection


class Counting:
    """A connection to a cluster that counts how many calls are under way at once."""

    cluster = True

    def __init__(self, *, failing: bool = False) -> None:
        self.now = self.most = 0
        self._failing = failing

    async def command(self, operation: str, *args: Any, key: str) -> list[bytes]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if self._failing:
            raise BackendRejected("no", backend="valkey", operation=operation)
        assert args[1].decode() == key
        return [key.encode(), b"1"]


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, 3 * AT_ONCE + 1])
async def test_keys_of_a_cluster_are_asked_about_many_at_a_time(count: int) -> None:
    """But not all at once, and the answers stay with their keys."""
    connection = Counting()
    keys = [f"mem:meta:{{{number}}}".encode() for number in range(count)]
    replies = await of_each(cast("Connection", connection), "test", keys, lambda key: ("HGET", key, "user"))
    assert [name for name, _ in replies] == keys
    assert connection.most == min(count, AT_ONCE)


async def test_a_failing_call_fails_them_all() -> None:
    """A total that leaves somebody out is none."""
    failing = cast("Connection", Counting(failing=True))
    with pytest.raises(BackendRejected):
        await of_each(failing, "test", [b"mem:meta:{1}"], lambda key: ("HGET", key, "user"))
