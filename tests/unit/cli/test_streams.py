"""Files and pipes: written whole or not at all, read line by line."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.cli import streams
from router_memory.cli.streams import input_stream, output_stream, pieces
from router_memory.errors import InvalidRequest
from router_memory.ndjson import Line, lines

if TYPE_CHECKING:
    from pathlib import Path


async def read(data: bytes, **limit: int) -> list[Line]:
    return [line async for line in lines(pieces(io.BytesIO(data)), **limit)]


@given(st.lists(st.sampled_from([b"", b"a", b"\r", b"\xe2\x80\xa8", b"b" * 9])), st.integers(1, 5), st.booleans())
def test_lines_end_with_newlines_alone(parts: list[bytes], size: int, last: bool) -> None:
    """Wherever the pieces they come in are cut."""
    patch = pytest.MonkeyPatch()
    patch.setattr(streams, "_PIECE_BYTES", size)
    try:
        data = b"\n".join(parts) + (b"\n" if last and parts else b"")
        found = asyncio.run(read(data))
    finally:
        patch.undo()
    whole, rest = data.split(b"\n")[:-1], data.split(b"\n")[-1]
    expected = [Line(number, text) for number, text in enumerate(whole, 1)]
    assert found == expected + ([Line(len(whole) + 1, rest, whole=False)] if rest else [])


@pytest.mark.parametrize("size", [3, 10, 1000])
async def test_a_line_that_is_too_long_is_skipped(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Those around it are read."""
    monkeypatch.setattr(streams, "_PIECE_BYTES", size)
    assert await read(b"12345678\n123456789\nx\n" + b"y" * 100, limit=8) == [
        Line(1, b"12345678"),
        Line(2, None),
        Line(3, b"x"),
        Line(4, None, whole=False),
    ]


async def test_a_wait_for_a_pipe_can_be_interrupted() -> None:
    """Nobody has to write into it first."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as other:  # noqa: PTH123, ASYNC230 - pipes
        task = asyncio.ensure_future(anext(aiter(lines(pieces(stream)))))
        await asyncio.sleep(0.05)
        other.write(b"one\n")
        assert await task == Line(1, b"one")
        task = asyncio.ensure_future(anext(aiter(lines(pieces(stream)))))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """For its owner alone, also where another one was."""
    path = tmp_path / "out"
    path.write_text("before")
    path.chmod(0o644)
    with output_stream(str(path)) as stream:
        stream.write(b"after")
        stream.flush()
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    """And nothing beside it."""
    path = tmp_path / "out"
    path.write_text("before")

    def fail() -> None:
        with output_stream(str(path)) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file it leads to is replaced."""
    link, file = tmp_path / "link", tmp_path / "file"
    file.write_text("before")
    link.symlink_to(file)
    with output_stream(str(link)) as stream:
        stream.write(b"after")
    assert link.is_symlink()
    assert file.read_text() == "after"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """Not replaced."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with output_stream(str(path)) as stream:
        stream.write(b"text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("name", ["missing/file", "."])
def test_what_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """By the name that was given."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="directory") as caught, output_stream(name):
        pass
    assert caught.value.filename == name


@pytest.mark.parametrize("name", ["missing", ".", "a\0b"])
def test_what_cannot_be_read_is_named(name: str) -> None:
    """With the typed error."""
    with pytest.raises(InvalidRequest, match="cannot be read"), input_stream(name):
        pass
