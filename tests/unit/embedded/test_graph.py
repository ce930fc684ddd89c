"""A graph of several indexes: bounded parts, one file, the same answers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from usearch.index import Index

from router_memory.backends.embedded import graph as module
from router_memory.backends.embedded.graph import Graph, new_index
from tests.contract.samples import ids
from tests.unit.embedded.stores import opened, small_disk
from tests.unit.embedded.test_hnsw import ALICE, _promoted, _query, _recall, _topics, _writes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DIMENSION = 32
PART = 500


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 500 vectors. One thread adds them: of several, each part loses a few of its first to all searches."""
    monkeypatch.setattr(module, "_PART_VECTORS", PART)
    monkeypatch.setattr("router_memory.backends.embedded.builder._THREADS", 1)


def _unit(seed: int, count: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _graph(matrix: NDArray[np.float32], at_once: int = 300) -> Graph:
    graph = Graph(DIMENSION)
    for first in range(0, len(matrix), at_once):
        some = matrix[first : first + at_once]
        graph.add(np.arange(first, first + len(some)), some)
    return graph


def _sizes(graph: Graph) -> list[int]:
    return [len(part.vectors) for part in graph._parts]


def _nearest(matrix: NDArray[np.float32], vector: NDArray[np.float32], count: int) -> list[int]:
    return [int(place) for place in np.argsort(-(matrix @ vector), kind="stable")[:count]]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1_700])
def test_no_part_has_more_than_its_share(count: int) -> None:
    """What does not fit into the last part goes into new ones, also in the middle of a call."""
    sizes = _sizes(_graph(_unit(1, count)))
    assert sum(sizes) == count
    assert sizes == [PART] * (count // PART) + ([count % PART] if count % PART else [])


@pytest.mark.parametrize("count", [1, 10, 100, 400, 1_200, 1_700, 5_000])
def test_the_parts_answer_as_one(count: int) -> None:
    """Nearest first, each once, out of all of them."""
    matrix, vector = _unit(1, 1_700), _unit(2, 1)[0]
    found = _graph(matrix).nearest(vector, count).tolist()
    wanted = _nearest(matrix, vector, min(count, 1_700))
    assert len(found) == len(set(found)) == len(wanted)
    assert len(set(found) & set(wanted)) >= 0.9 * len(wanted)
    scores = matrix[found] @ vector
    assert (np.diff(scores) <= 2e-3).all()  # the graph has half-precision copies


@pytest.mark.parametrize("count", [300, 600, 1_200])
def test_the_nearest_are_found_where_one_part_has_them_all(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Memories of one topic are often stored together."""
    topics = _unit(4, 4)
    matrix = np.repeat(topics, 1_400, axis=0) + 0.5 * _unit(5, 5_600)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    monkeypatch.setattr(module, "_PART_VECTORS", 1_400)
    vector = topics[1]
    found = set(_graph(matrix).nearest(vector, count).tolist())
    assert len(found) == count
    assert len(found & set(_nearest(matrix, vector, count))) >= 0.9 * count


@pytest.mark.parametrize("count", [1_000, 1_900, 1_999, 2_000, 4_096])
def test_very_unequal_parts_give_all_that_is_wanted(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """A file of an earlier version may have begun with a part of any size."""
    matrix = _unit(1, 2_000)
    monkeypatch.setattr(module, "_PART_VECTORS", 1_400)
    graph = _graph(matrix[:1_400])
    monkeypatch.setattr(module, "_PART_VECTORS", PART)
    graph.add(np.arange(1_400, 2_000), matrix[1_400:])
    assert _sizes(graph) == [1_400, 500, 100]
    assert len(set(graph.nearest(matrix[0], count).tolist())) == min(count, 2_000)


def test_an_empty_graph_finds_nothing() -> None:
    """It has no part yet."""
    assert Graph(DIMENSION).nearest(_unit(1, 1)[0], 5).tolist() == []


@pytest.mark.parametrize("writable", [False, True])
def test_a_file_gives_the_same_graph_back(tmp_path: Path, writable: bool) -> None:
    """Part by part, and nothing stays beside it."""
    matrix, vector = _unit(1, 1_300), _unit(2, 1)[0]
    graph, path = _graph(matrix), tmp_path / "graph.usearch"
    graph.save(path)
    read = Graph(DIMENSION)
    read.restore(path, writable=writable)
    assert _sizes(read) == [500, 500, 300]
    assert read.nearest(vector, 50).tolist() == graph.nearest(vector, 50).tolist()
    assert list(tmp_path.iterdir()) == [path]


def test_the_full_parts_of_a_file_are_written_again_as_they_are(tmp_path: Path) -> None:
    """What is added goes to the last part; the file it came from may be gone by then."""
    matrix, first, second = _unit(1, 2_000), tmp_path / "first.usearch", tmp_path / "second.usearch"
    _graph(matrix[:1_300]).save(first)
    before = first.read_bytes()
    graph = Graph(DIMENSION)
    graph.restore(first, writable=True)
    first.unlink()
    graph.add(np.arange(1_300, 2_000), matrix[1_300:])
    graph.save(second)
    read = Graph(DIMENSION)
    read.restore(second, writable=False)
    assert _sizes(read) == [500, 500, 500, 500]
    after = second.read_bytes()
    (length,) = struct.unpack_from("<Q", after, len(after) - 8 - 4 * 8)
    assert after[64 : 64 + length] == before[64 : 64 + length]
    for number in (0, 700, 1_299, 1_999):
        assert read.nearest(matrix[number], 1).tolist() == [number]


def test_a_full_part_of_a_file_is_not_added_to(tmp_path: Path) -> None:
    """A new part is begun beside it."""
    path = tmp_path / "graph.usearch"
    _graph(_unit(1, PART)).save(path)
    graph = Graph(DIMENSION)
    graph.restore(path, writable=True)
    graph.add(np.array([PART]), _unit(2, 1))
    assert _sizes(graph) == [PART, 1]


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It is one index and no more."""
    matrix, path = _unit(1, 800), tmp_path / "graph.usearch"
    index = new_index(DIMENSION)
    index.add(np.arange(800, dtype=np.uint64), matrix)
    index.save(path)
    for writable, sizes in ((False, [800]), (True, [800, 1])):
        graph = Graph(DIMENSION)
        graph.restore(path, writable=writable)
        assert graph.nearest(matrix[7], 1).tolist() == [7]
        if writable:
            graph.add(np.array([800]), _unit(2, 1))
        assert _sizes(graph) == sizes


def test_earlier_versions_take_a_graph_whole_or_not_at_all(tmp_path: Path) -> None:
    """They know files of one index; the first of several is not the user's graph."""
    path = tmp_path / "graph.usearch"
    for count in (PART, PART + 1):
        _graph(_unit(1, count)).save(path)
        for read in (Index.view, Index.load):
            earlier = new_index(DIMENSION)
            if count == PART:
                read(earlier, path)
                assert len(earlier) == PART
            else:
                with pytest.raises(RuntimeError):
                    read(earlier, path)


@pytest.mark.parametrize("count", [400, 1_000])
def test_a_graph_for_which_there_is_no_room_is_not_taken_for_written(tmp_path: Path, count: int) -> None:
    """Not even where it is the last bytes that find none, about which usearch says nothing."""
    graph = _graph(_unit(1, count))
    graph.save(tmp_path / "whole.usearch")
    needed = (tmp_path / "whole.usearch").stat().st_size
    folder = tmp_path / "disk"
    with small_disk(folder, 1_024):
        for pages in range(needed // 4_096 - 1, needed // 4_096 + 1):
            (folder / "filler").write_bytes(bytes(1_024 * 1_024 - pages * 4_096))
            with pytest.raises((OSError, RuntimeError)):
                graph.save(folder / "graph.usearch")
            assert {path.name for path in folder.iterdir()} <= {"filler", "graph.usearch"}
            (folder / "graph.usearch").unlink()


@pytest.mark.parametrize(
    "tail",
    [struct.pack("<2Q", 1 << 40, 1), struct.pack("<Q", 1 << 40), struct.pack("<2Q", 17, 1)],
    ids=["a part longer than the file", "more parts than bytes", "a part cut short"],
)
def test_a_file_with_a_wrong_table_is_refused(tmp_path: Path, tail: bytes) -> None:
    """It is read nowhere else than where its parts are."""
    path = tmp_path / "graph.usearch"
    _graph(_unit(1, PART + 100)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: -3 * 8] + tail)
    with pytest.raises((ValueError, RuntimeError)):
        Graph(DIMENSION).restore(path, writable=False)


async def test_a_store_searches_grows_and_reopens_a_graph_of_many_parts(tmp_path: Path) -> None:
    """A user with many parts finds what a scan finds, before and after memories come and go and the store restarts."""
    path = tmp_path / "memories.db"
    writes = _writes(ALICE, 2_300)
    async with opened(path, dimension=48, promote_at=1_000) as store:
        await _promoted(path, writes, store)
        newer = _writes(ALICE, 1_200, first=5_000)
        await store.add(ALICE, newer)
        await store.settle()
        await store.forget(ALICE, ids(writes[:50]))
    kept = [*writes[50:], *newer]
    async with opened(path, dimension=48, promote_at=1_000) as store:
        await store.candidates(_query(_topics(3, 1)[0]))
        await store.settle()
        for vector in _topics(1_234, 10):
            result = await store.candidates(_query(vector))
            assert not result.exact
            assert _recall(result, vector, kept) >= 0.98


async def test_a_graph_with_too_large_a_part_is_made_anew_once_it_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version may have written it; until the new one is whole it is searched."""
    path = tmp_path / "memories.db"
    writes, newer = _writes(ALICE, 2_300), _writes(ALICE, 1_200, first=5_000)
    monkeypatch.setattr(module, "_PART_VECTORS", 10_000)
    async with opened(path, dimension=48, promote_at=1_000) as store:
        await _promoted(path, writes, store)
    monkeypatch.setattr(module, "_PART_VECTORS", PART)
    async with opened(path, dimension=48, promote_at=1_000) as store:
        await store.candidates(_query(_topics(3, 1)[0]))
        await store.settle()
        (graph,) = store._usable("test").builder._graphs.values()
        (size,) = _sizes(graph)
        assert size > PART
        await store.add(ALICE, newer)
        await store.settle()
        (graph,) = store._usable("test").builder._graphs.values()
    assert _sizes(graph) == [PART] * 7
