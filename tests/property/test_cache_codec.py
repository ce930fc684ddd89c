"""An answer survives the shared cache, and no bytes at all break its reader."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router_memory.cache import codec, packed
from router_memory.cache.codec import (
    Expired,
    Unreadable,
    decode,
    decode_vector,
    encode,
    encode_vector,
    epoch_of,
    weight,
)
from router_memory.cache.keys import VERSION
from router_memory.ranking import Evidence, Ranked, calibration_for
from router_memory.types import Candidate, Columns, Document, MemoryRecord, MemoryType, RankingMode, Retrieval, Scope
from tests.unit.cache.parts import ALICE, KEY, answer, answer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ids = texts.filter(str.strip)
whole = st.integers(0, 2**63 - 1)
moments = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - strategies take naive bounds
    datetime(9999, 12, 30),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)
records = st.builds(
    MemoryRecord,
    id=texts,
    scope=st.builds(Scope, st.just(ALICE.user_id), st.none() | ids),
    content=texts,
    type=st.sampled_from(MemoryType),
    role=st.none() | texts,
    speaker=st.none() | texts,
    conversation_id=st.none() | st.sampled_from("ab"),
    position=st.integers(0, 5) | whole,
    part=whole,
    created_at=moments,
    updated_at=moments,
    importance=st.floats(0, 1) | st.sampled_from([0, 1]),
    access_count=whole,
    accessed_at=st.none() | moments,
)
words = st.sampled_from(["green", "tea", "rice", "river", "yesterday", "@ana", "2024"])
candidates = st.builds(
    Candidate,
    record=records,
    document=st.builds(Document, st.dictionaries(words, st.integers(1, 9), max_size=5), st.integers(0, 99)),
    cosine=st.floats(-1, 1) | st.just(float("nan")),
    parts=st.integers(1, 40),
)
questions = st.lists(
    st.sampled_from(["green", "tea", "rice", "When did Ana", "the", "in May 2024", "river", "?", "日本"]), max_size=6
).map(" ".join)
retrievals = st.builds(
    lambda found, question: answer_of(found, question=question), st.lists(candidates, max_size=12), questions
)
TEA = answer("green tea", "black tea, 日本", "rice")


def again(retrieval: Retrieval) -> Retrieval:
    return decode(encode(retrieval, KEY, ttl=60), KEY, ALICE)


def ranking(retrieval: Retrieval, mode: RankingMode) -> list[Any]:
    ranked = Ranked(Evidence(retrieval), mode, calibration_for("x", "torch"))
    return [ranked[place] for place in range(len(ranked))]


def assert_equal(one: Retrieval, other: Retrieval) -> None:
    for field in fields(Retrieval):
        if field.name not in {"columns", "records", "memo"}:
            assert getattr(one, field.name) == getattr(other, field.name), field.name
    assert tuple(one.records) == tuple(other.records)
    for column in fields(Columns):
        mine: NDArray[Any] = getattr(one.columns, column.name)
        theirs: NDArray[Any] = getattr(other.columns, column.name)
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape), column.name
        assert np.array_equal(mine, theirs), column.name


@given(retrievals)
@example(answer())
@example(answer("x", question=""))
@example(answer(*map(str, range(300))))
@settings(max_examples=60)
def test_an_answer_comes_back_as_it_was(retrieval: Retrieval) -> None:
    """In every field and column; the epoch can be read without the rest."""
    raw = encode(retrieval, KEY, ttl=60)
    assert_equal(decode(raw, KEY, ALICE), retrieval)
    assert epoch_of(raw, KEY) == retrieval.epoch


@pytest.mark.parametrize("count", [0, 1, 40, 300])
def test_long_answers_are_deflated(count: int) -> None:
    """And come back too."""
    retrieval = answer(*(f"{number} " + "green tea " * 40 for number in range(count)))
    raw = encode(retrieval, KEY, ttl=60)
    assert bool(raw[5]) == (count >= 100)
    assert_equal(decode(raw, KEY, ALICE), retrieval)


@pytest.mark.parametrize("mode", list(RankingMode))
def test_it_ranks_as_it_did(mode: RankingMode) -> None:
    """To the last bit: which process answered must not be seen."""
    generator = np.random.default_rng(7)
    for _ in range(10):
        contents = [" ".join(generator.choice(VOCABULARY, 12)) for _ in range(120)]
        question = " ".join(generator.permutation(VOCABULARY)[:9])
        retrieval = answer(*dict.fromkeys(contents), question=question)
        assert ranking(again(retrieval), mode) == ranking(retrieval, mode)


VOCABULARY = np.array("green tea milk rice river bike music train stone cloud lamp harbour".split())


@given(retrievals, st.sampled_from(RankingMode))
@settings(max_examples=60)
def test_whatever_is_in_it_ranks_as_it_did(retrieval: Retrieval, mode: RankingMode) -> None:
    """The same hits in the same order, with the same numbers."""
    assert ranking(again(retrieval), mode) == ranking(retrieval, mode)


def test_records_are_read_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each, by any index a sequence takes; the first at once, see below."""
    read: list[str] = []
    rebuilt = packed._rebuilt

    def counted(values: Any) -> MemoryRecord:
        read.append(values[0])
        return rebuilt(values)

    monkeypatch.setattr(packed, "_rebuilt", counted)
    retrieval = answer(*"abcdef")
    got = again(retrieval).records
    assert [len(got), read] == [6, ["a"]]
    assert [got[2], got[-4], got[2]] == [retrieval.records[2]] * 3
    assert read == ["a", "c"]
    assert list(got[1:3]) == list(retrieval.records[1:3])
    assert read == ["a", "c", "b"]
    for place in (6, -7):
        with pytest.raises(IndexError):
            got[place]


@pytest.mark.parametrize(
    "written",
    [
        lambda _: b"{nope",
        lambda _: b"null",
        lambda values: orjson.dumps(values[:-1]),
        lambda values: orjson.dumps([*values, "more"]),
        lambda values: orjson.dumps(dict(enumerate(map(str, values))), option=orjson.OPT_NON_STR_KEYS),
        lambda values: orjson.dumps([*values[:1], " ", *values[2:]]),
        lambda values: orjson.dumps([*values[:1], [1], *values[2:]]),
        lambda values: orjson.dumps([*values[:3], "odd", *values[4:]]),
        lambda values: orjson.dumps([*values[:9], "yesterday", *values[10:]]),
        lambda values: orjson.dumps([*values[:9], None, *values[10:]]),
    ],
    ids="json null fewer more object blank-project odd-project kind date no-date".split(),
)
def test_records_that_are_written_otherwise_are_unreadable(
    monkeypatch: pytest.MonkeyPatch, written: Callable[[list[Any]], bytes]
) -> None:
    """A miss now, although everything else is right: when a record is to be shown it is too late for one."""
    with monkeypatch.context() as patch:
        patch.setattr(codec, "pack", lambda record: written(orjson.loads(packed.pack(record))))
        raw = encode(TEA, KEY, ttl=60)
    with pytest.raises(Unreadable):
        decode(raw, KEY, ALICE)


def test_what_is_cut_short_is_unreadable() -> None:
    """Wherever it ends; nor may anything follow."""
    raw = encode(TEA, KEY, ttl=60)
    for end in range(len(raw)):
        with pytest.raises(Unreadable):
            decode(raw[:end], KEY, ALICE)
    with pytest.raises(Unreadable):
        decode(raw + b"\0", KEY, ALICE)


@pytest.mark.parametrize("deflated", [False, True])
def test_no_flipped_bit_changes_an_answer(deflated: bool) -> None:
    """It cannot be read, or it is the same: what it counts until is not part of it, nor are flags without meaning."""
    retrieval = answer(*(f"{number} " + "tea " * 100 for number in range(100))) if deflated else TEA
    raw = encode(retrieval, KEY, ttl=60)
    step = 37 if deflated else 1
    for bit in [*range(8 * 60), *range(8 * 60, 8 * len(raw), step)]:
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            got = decode(bytes(damaged), KEY, ALICE)
        except Unreadable:
            continue
        assert 5 <= bit // 8 < 16
        assert_equal(got, retrieval)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_unreadable(raw: bytes) -> None:
    """With our mark before them too."""
    for made in (raw, b"rmhc" + raw, b"rmhc\x01\0" + raw, b"rmv1" + raw):
        with pytest.raises(Unreadable):
            decode(made, KEY, ALICE)
        with pytest.raises(Unreadable):
            epoch_of(made, KEY)
        with pytest.raises(Unreadable):
            decode_vector(made, KEY, 16)


def framed(body: bytes, *, version: int = VERSION, flags: int = 0, seconds: float = 60) -> bytes:
    """A body with a head that fits it."""
    rest = KEY + b"one" + body
    until = int((time() + seconds) * 1000)
    return codec._HEAD.pack(b"rmhc", version, flags, 3, until, zlib.crc32(rest)) + rest


def body_of(head: Any, rest: bytes = bytes(400)) -> bytes:
    text = orjson.dumps(head)
    return struct.pack(">I", len(text)) + text + rest


def test_other_versions_keys_and_times_are_unreadable() -> None:
    """By both readers."""
    raw = encode(TEA, KEY, ttl=60)
    other = bytes(32)
    for made, key in (
        (raw, other),
        (raw[:4] + bytes([VERSION + 1]) + raw[5:], KEY),
        (raw[:4] + b"\x00" + raw[5:], KEY),
    ):
        with pytest.raises(Unreadable):
            decode(made, key, ALICE)
        with pytest.raises(Unreadable):
            epoch_of(made, key)
    with pytest.raises(Expired):
        decode(encode(TEA, KEY, ttl=-1), KEY, ALICE)


HEADS: list[Any] = [
    None,
    7,
    "abcdefghi",
    {},
    [],
    ["t", "q", [], ["tea"], 1, 1, {}, True],
    ["t", "q", [], ["tea"], 1, 1, {}, True, -1],
    ["t", "q", [], ["tea"], 1, 1, {}, True, 1.5],
    ["t", "q", [], ["tea"], 1, 1, {}, True, "1"],
    ["t", "q", [], ["tea"], 1, 1, {}, True, None],
    ["t", "q", [[]], ["tea"], 1, 1, {}, True, 0],
    ["t", "q", [], 5, 1, 1, {}, True, 0],
    ["t", "q", [], ["tea"] * 9, 1, 1, {}, True, 10**9],
]


@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_heads_that_make_no_sense_are_unreadable(head: Any) -> None:
    """Although their sum is right: somebody else's writer, or a later one that forgot its version."""
    for rest in (bytes(400), b"", b"\xff" * 400):
        with pytest.raises(Unreadable):
            decode(framed(body_of(head, rest)), KEY, ALICE)


@pytest.mark.parametrize("count", [2**63, 2**64 - 1])
def test_a_count_beyond_all_bounds_is_unreadable(count: int) -> None:
    """It is too large for an index."""
    with pytest.raises(Unreadable):
        decode(framed(body_of(["t", "q", [], ["tea"], 1, 1, {}, True, count])), KEY, ALICE)


@given(st.binary(max_size=64))
def test_a_body_that_is_none_is_unreadable(body: bytes) -> None:
    """Deflated or said to be."""
    for made in (framed(body), framed(body, flags=1), framed(zlib.compress(body), flags=1)):
        with pytest.raises(Unreadable):
            decode(made, KEY, ALICE)


def test_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the longest body is."""
    monkeypatch.setattr(codec, "MOST_BYTES", 100_000)
    for size in (100_001, 10_000_000):
        with pytest.raises(Unreadable, match="too long"):
            decode(framed(zlib.compress(bytes(size)), flags=1), KEY, ALICE)


@pytest.mark.parametrize("deflated", [False, True])
def test_no_longer_body_is_written_than_is_read(deflated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte: what is written can be read."""
    retrieval = answer(*(f"{number} " + "tea " * 100 for number in range(300 if deflated else 3)))
    size = len(codec._body(retrieval))
    assert (size >= codec.COMPRESS_FROM) == deflated
    monkeypatch.setattr(codec, "MOST_BYTES", size)
    assert_equal(again(retrieval), retrieval)
    monkeypatch.setattr(codec, "MOST_BYTES", size - 1)
    with pytest.raises(Unreadable, match="too long"):
        encode(retrieval, KEY, ttl=60)


def test_an_epoch_is_of_bounded_length() -> None:
    """Its length stands in two bytes."""
    assert again(answer("tea", epoch="e" * 1_000)).epoch == "e" * 1_000
    for size in (1_001, 70_000):
        with pytest.raises(Unreadable, match="too long"):
            encode(answer("tea", epoch="e" * size), KEY, ttl=60)


@pytest.mark.parametrize("question", ["tea \ud800", "\udfff"])
def test_what_cannot_be_written_says_so(question: str) -> None:
    """A text that is no Unicode."""
    with pytest.raises(Unreadable):
        encode(answer("tea", question=question), KEY, ttl=60)


def test_times_and_the_largest_numbers_come_back() -> None:
    """To the microsecond, and to the last bit."""
    moment = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    record = MemoryRecord(
        id="x",
        scope=Scope(ALICE.user_id, "garden"),
        content='\0\n"日本 😀',
        position=2**63 - 1,
        access_count=2**63 - 1,
        created_at=moment,
        updated_at=moment + timedelta(microseconds=1),
        accessed_at=moment,
        importance=0.1 + 0.2,
    )
    found = Candidate(record=record, document=Document({"tea": 2**31 - 1}, 2**31 - 1), cosine=1 / 3)
    assert_equal(again(answer_of([found])), answer_of([found]))


def test_a_heavier_answer_weighs_more() -> None:
    """Read or not; never less than its texts."""
    small, large = answer("tea"), answer(*(f"{number} " + "tea " * 100 for number in range(50)))
    assert weight(small) < weight(large)
    assert weight(again(small)) < weight(again(large))
    assert weight(again(large)) > sum(len(record.content) for record in large.records)


@pytest.mark.parametrize("dimension", [256, 384, 1024])
def test_a_vector_as_float16_is_near_enough(dimension: int) -> None:
    """The worst cosine of many is off by less than 1e-4."""
    drawn = np.random.default_rng(dimension).standard_normal((300, dimension)).astype(np.float32)
    units = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    again_ = np.array([decode_vector(encode_vector(unit, KEY), KEY, dimension) for unit in units])
    assert again_.dtype == np.float32
    assert np.abs(np.linalg.norm(again_, axis=1) - 1).max() < 1e-6
    assert np.abs(again_ @ units.T - units @ units.T).max() < 1e-4
    assert np.abs(again_ - units).max() < 5e-4


UNIT = np.full(16, 0.25, dtype=np.float32)


def summed(numbers: bytes, key: bytes = KEY) -> bytes:
    """Numbers with a head that fits them."""
    return struct.pack(">4sI", b"rmv1", zlib.crc32(numbers, zlib.crc32(key))) + numbers


def test_a_vector_belongs_to_its_key_and_dimension() -> None:
    """A server that mixes keys up moves no search."""
    raw = encode_vector(UNIT, KEY)
    assert raw == summed(UNIT.astype("<f2").tobytes())
    assert np.array_equal(decode_vector(raw, KEY, 16), UNIT)
    for key in (bytes(32), KEY[::-1], KEY[:-1], b""):
        with pytest.raises(Unreadable):
            decode_vector(raw, key, 16)
    for dimension in (15, 17, 0, 32):
        with pytest.raises(Unreadable):
            decode_vector(raw, KEY, dimension)


def test_a_vector_may_be_changed_by_who_got_it() -> None:
    """The bytes stay what they are."""
    raw = encode_vector(UNIT, KEY)
    got = decode_vector(raw, KEY, 16)
    got *= -1
    assert np.array_equal(decode_vector(raw, KEY, 16), UNIT)


def test_no_flipped_bit_changes_a_vector() -> None:
    """A sign is one bit, and the norm stays the same; nor does a cut."""
    raw = encode_vector(UNIT, KEY)
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unreadable):
            decode_vector(bytes(damaged), KEY, 16)
    for made in (*(raw[:end] for end in range(len(raw))), raw + b"\0", raw + bytes(2)):
        with pytest.raises(Unreadable):
            decode_vector(made, KEY, 16)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0, 60_000.0, 0.5, 1e-7])
@pytest.mark.parametrize("all_of_them", [False, True])
def test_what_is_given_is_a_unit_vector(value: float, all_of_them: bool) -> None:
    """Or nothing is: a broken model of another process wrote it, and the sum is right."""
    numbers = np.full(16, value if all_of_them else 0.0, dtype="<f2")
    numbers[3] = value
    try:
        got = decode_vector(summed(numbers.tobytes()), KEY, 16)
    except Unreadable:
        return
    assert np.linalg.norm(got) == pytest.approx(1, abs=1e-6)
