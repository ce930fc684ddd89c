"""Lines out of a body that comes in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from router_memory.ndjson import lines


async def of(*pieces: bytes, limit: int = 1000) -> list[bytes | None]:
    async def coming() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    found = [line async for line in lines(coming(), limit=limit)]
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    return [line.text for line in found]


@given(st.lists(st.binary(max_size=12).map(lambda raw: raw.replace(b"\x00", b"\n"))))
async def test_where_the_pieces_are_cut_does_not_matter(pieces: list[bytes]) -> None:
    whole = b"".join(pieces).split(b"\n")
    assert await of(*pieces) == (whole if whole[-1] else whole[:-1])


async def test_a_line_that_is_too_long_is_told_and_not_kept() -> None:
    assert await of(b"123456", b"7890", b"\nab\n", b"12345", limit=5) == [None, b"ab", b"12345"]
    assert await of(b"1234", b"56", limit=5) == [None]
    assert await of(b"12345\n123456\n1", limit=5) == [b"12345", None, b"1"]
