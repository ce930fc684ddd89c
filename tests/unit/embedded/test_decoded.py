"""Memories that searches have decoded: what they weigh, and which go first."""

from __future__ import annotations

from router_memory.backends.embedded.decoded import Known, KnownByUser, Memory
from router_memory.types import Scope
from tests.contract.samples import memory


def _memory(seed: int, characters: int, stems: int) -> Memory:
    write = memory(
        Scope("alice"), seed, stems={f"stem{number}": 1 for number in range(stems)}, content="x" * characters
    )
    return write.record, write.document


def test_a_long_memory_counts_as_such() -> None:
    """Room for thousands of short ones is not taken by as many long ones."""
    short, long = Known({1: _memory(1, 200, 15)}), Known({1: _memory(1, 50_000, 400)})
    assert 3_500 < short.bytes < 4_500
    assert long.bytes > 100_000


def test_a_memory_decoded_twice_counts_once() -> None:
    """Two searches may find the same at once."""
    known = Known({1: _memory(1, 200, 15)})
    before = known.bytes
    known.add({1: _memory(1, 200, 15)})
    assert (len(known), known.bytes) == (1, before)
    known.clear()
    assert (len(known), known.bytes, known.get(1)) == (0, 0, None)


def test_only_what_did_not_change_is_taken_over() -> None:
    """The others stay with the older snapshot."""
    known = Known({number: _memory(number, 20, 2) for number in range(5)})
    fewer = known.only({1, 3})
    assert [fewer.get(number) is known.get(number) for number in (1, 3)] == [True, True]
    assert (len(known), len(fewer), fewer.get(2)) == (5, 2, None)


def test_users_searched_long_ago_lose_theirs_first() -> None:
    """All of them together stay within their room."""
    each = Known({1: _memory(1, 200, 15)}).bytes
    held = {user: Known({1: _memory(user, 200, 15)}) for user in range(4)}
    room = KnownByUser(3 * each)
    for user in (0, 1, 2, 0, 3):
        room.searched(user, held[user])
    assert {user for user in held if len(held[user])} == {0, 2, 3}
    assert room.currsize <= room.maxsize


def test_a_user_with_too_much_keeps_the_latest() -> None:
    """One search cannot push all others out, and not everything is decoded anew by the next one."""
    each = Known({1: _memory(1, 200, 15)}).bytes
    room = KnownByUser(4 * each)
    small, large = Known({1: _memory(1, 20, 2)}), Known({number: _memory(number, 200, 15) for number in range(5)})
    room.searched(1, small)
    room.searched(2, large)
    assert [number for number in range(5) if large.get(number)] == [3, 4]
    assert (len(small), large.bytes, room.currsize) == (1, 2 * each, small.bytes + 2 * each)


def test_a_memory_that_is_too_much_alone_is_not_kept() -> None:
    """There is room for others then."""
    room, large = KnownByUser(10_000), Known({1: _memory(1, 50_000, 2)})
    room.searched(1, large)
    assert (len(large), room.currsize) == (0, 0)


def test_what_an_older_snapshot_decoded_is_let_go() -> None:
    """A search that is late does not leave two of a user behind, one of them unweighed."""
    room = KnownByUser(100_000)
    older, newer = Known({1: _memory(1, 20, 2)}), Known({1: _memory(2, 20, 2)})
    room.searched(1, newer)
    room.searched(1, older)
    assert (len(newer), len(older)) == (0, 1)
