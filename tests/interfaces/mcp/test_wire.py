"""Lines over descriptors, however they are cut on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from router_memory.interfaces.mcp.wire import Wire


async def read(path: Path) -> list[str]:
    source = os.open(path, os.O_RDONLY)
    try:
        return [line async for line in Wire(source, -1).lines()]
    finally:
        os.close(source)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"no end", ["no end"]),
        (b"\n\nx\n", ["", "", "x"]),
        ("größe\n".encode(), ["größe"]),
        (b"\xff\n", ["\ufffd"]),
        (b"x" * 200_000 + b"\ny\n", ["x" * 200_000, "y"]),
        (b"line\n" * 1000, ["line"] * 1000),
    ],
)
async def test_lines_come_as_they_were_written(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    """In order, the long ones whole, and what is no UTF-8 with a mark in its place."""
    file = tmp_path / "lines"
    file.write_bytes(content)
    assert await read(file) == lines


async def test_a_descriptor_that_is_closed_is_the_end() -> None:
    source, sink = os.pipe()
    os.close(sink)
    os.close(source)
    assert [line async for line in Wire(source, -1).lines()] == []


def test_a_text_is_written_whole(tmp_path: Path) -> None:
    file = tmp_path / "out"
    sink = os.open(file, os.O_WRONLY | os.O_CREAT)
    Wire(-1, sink).write("größe\n" * 50_000)
    os.close(sink)
    assert file.read_text(encoding="utf-8") == "größe\n" * 50_000
