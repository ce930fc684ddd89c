"""How an answer is written for the shared cache.

    magic, version, flags, length of the epoch       4s B B H
    moment after which it counts no longer           Q, milliseconds since 1970
    CRC-32 of everything but the head                I
    key of the question, 32 bytes; epoch; body

The body, deflated where it is long: the length of a JSON head, the head, the columns one behind the other, where each
record begins, the records as JSON arrays. The first record is read at once, to see that they are what they should be,
the others one by one when they are asked for, since a search shows few of its candidates: that they are whole says the
sum, that they are of this layout the key. Vectors are left out. Nothing that is read is ever run.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields
from sys import getsizeof
from time import time
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from router_memory.cache.keys import KEY_BYTES, VERSION
from router_memory.cache.packed import KINDS, PackedRecords, pack
from router_memory.cache.rebuilt import rebuilder
from router_memory.errors import InvalidRequest
from router_memory.ranking.reflection import MOST_REMEMBERED
from router_memory.types import Columns, LexicalStatistics, Retrieval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from router_memory.types import MemoryRecord, Scope

__all__ = ["Expired", "Unreadable", "decode", "decode_vector", "encode", "encode_vector", "epoch_of", "weight"]

COMPRESS_FROM = 64 * 1024
"""Bytes from which a body is deflated: below, the time costs more than the network."""

MOST_BYTES = 1024 * 1024
"""Longest body. What is longer would hold up everything else while it is written or read."""

_MAGIC = b"rmhc"
_HEAD = struct.Struct(">4sBBHQI")
_VECTOR_HEAD = struct.Struct(">4sI")
_VECTOR_MAGIC = b"rmv1"
_LENGTH = struct.Struct(">I")
_EPOCH_AT = _HEAD.size + KEY_BYTES
_DEFLATED = 1
_LEVEL = 1
_LONGEST_EPOCH = 1_000

_BY_KIND: tuple[tuple[np.dtype[Any], tuple[str, ...]], ...] = (  # widest first, so that each begins at a multiple of it
    (np.dtype("<f8"), ("cosine",)),
    (np.dtype("<i8"), ("position",)),
    (np.dtype("<i4"), ("parts", "length", "conversation", "speaker", "frequency")),
    (np.dtype("i1"), ("dated",)),
    (np.dtype("?"), ("assistant", "asking", "spoken", "timed")),
)
"""The columns in the order they are written in. Frequency is the one with a row for each stem: the last of its kind."""
_COLUMNS = tuple((name, kind) for kind, names in _BY_KIND for name in names)
_NAMES = tuple(field.name for field in fields(Columns))
_rebuilt: Callable[[Sequence[Any]], Columns] = rebuilder(Columns)

_ENDS = np.dtype("<i4")
_RETRIEVAL_BYTES = 4_000
_RECORD_BYTES = 900
_COLUMN_FACTOR = 6
_SELECTIONS_BYTES = 8_000
"""Eight selections with their cut-offs, see `router_memory.pipeline.shortlist`."""
_HIT_BYTES, _MOST_HITS = 1_200, 20
"""Hits are made of the best candidates alone: as many as a limit of that admits."""
_COMPARISON_BYTES = 400
"""One that was compared with up to thirty others, see `router_memory.ranking.reflection`."""


class Unreadable(Exception):
    """The bytes are no answer to the question, or of a version that this one cannot read."""


class Expired(Unreadable):
    """The answer is past its time."""


def encode(retrieval: Retrieval, key: bytes, *, ttl: float) -> bytes:
    """An answer as bytes.

    Args:
        retrieval: The answer.
        key: Of the question, `KEY_BYTES` long.
        ttl: Seconds it may be read for.

    Raises:
        Unreadable: It cannot be written: it is longer than `MOST_BYTES`, or something in it has no form in JSON.
    """
    try:
        epoch, body = retrieval.epoch.encode(), _body(retrieval)
    except (orjson.JSONEncodeError, UnicodeEncodeError, OverflowError) as error:
        raise Unreadable(str(error)) from error
    if len(body) > MOST_BYTES or len(epoch) > _LONGEST_EPOCH:
        raise Unreadable("too long")
    flags = 0
    if len(body) >= COMPRESS_FROM:
        body, flags = zlib.compress(body, _LEVEL), _DEFLATED
    rest = key + epoch + body
    return _HEAD.pack(_MAGIC, VERSION, flags, len(epoch), int((time() + ttl) * 1000), zlib.crc32(rest)) + rest


def epoch_of(raw: bytes, key: bytes) -> str:
    """The epoch of the answer that the bytes are, without reading more of it.

    Raises:
        Unreadable: They are none, are another question's, or of another version.
    """
    _, _, _, end = _opened(raw, key)
    return raw[_EPOCH_AT:end].decode("ascii", "replace")


def decode(raw: bytes, key: bytes, scope: Scope) -> Retrieval:
    """The answer again.

    Args:
        raw: As `encode` gave it.
        key: Of the question that is asked.
        scope: Whose question it is.

    Raises:
        Unreadable: See `epoch_of`; or they are damaged.
        Expired: It is past its time.
    """
    flags, until, checksum, end = _opened(raw, key)
    if until < time() * 1000:
        raise Expired
    if zlib.crc32(memoryview(raw)[_HEAD.size :]) != checksum:
        raise Unreadable("damaged")
    try:
        epoch = raw[_EPOCH_AT:end].decode()
        return _read(_inflated(raw[end:]) if flags & _DEFLATED else raw[end:], epoch, scope)
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        OverflowError,
        struct.error,
        zlib.error,
        InvalidRequest,  # an id that is none
    ) as error:
        raise Unreadable(type(error).__name__) from error


def encode_vector(vector: NDArray[np.float32], key: bytes) -> bytes:
    """A unit vector as float16, bound to its key: from 256 components on a cosine with it is off by less than 1e-4."""
    numbers = vector.astype("<f2").tobytes()
    return _VECTOR_HEAD.pack(_VECTOR_MAGIC, zlib.crc32(numbers, zlib.crc32(key))) + numbers


def decode_vector(raw: bytes, key: bytes, dimension: int) -> NDArray[np.float32]:
    """The vector again: float32 of shape (dimension,), unit norm.

    Raises:
        Unreadable: The bytes are none of that key and dimension, or damaged.
    """
    numbers = raw[_VECTOR_HEAD.size :]
    if raw[: len(_VECTOR_MAGIC)] != _VECTOR_MAGIC or len(numbers) != 2 * dimension:
        raise Unreadable("no vector")
    if _VECTOR_HEAD.unpack_from(raw)[1] != zlib.crc32(numbers, zlib.crc32(key)):
        raise Unreadable("a damaged vector")
    vector = np.frombuffer(numbers, dtype="<f2").astype(np.float32)
    norm = float(np.sqrt(vector @ vector))
    if not 0.9 < norm < 1.1:  # nor a number
        raise Unreadable("no unit vector")
    unit: NDArray[np.float32] = vector / np.float32(norm)
    return unit


def weight(retrieval: Retrieval) -> int:
    """What an answer takes in memory with its rankings and what is remembered beside them, in bytes, roughly.

    It is asked when there are none yet, so it counts what there may come to be for decisions of two hybrid modes.
    """
    records, columns = retrieval.records, retrieval.columns
    numbers = sum(int(getattr(columns, name).nbytes) for name, _ in _COLUMNS)
    texts = (
        sum(getsizeof(record.content) for record in records) if isinstance(records, tuple) else _packed_bytes(records)
    )
    count = len(records)
    derived = _HIT_BYTES * min(count, _MOST_HITS) + _COMPARISON_BYTES * min(2 * count, MOST_REMEMBERED)
    if count:
        derived += _SELECTIONS_BYTES
    return _RETRIEVAL_BYTES + _COLUMN_FACTOR * numbers + _RECORD_BYTES * count + texts + derived


def _packed_bytes(records: Sequence[MemoryRecord]) -> int:
    """Of records as they came, and what is read of them."""
    return 2 * records.nbytes if isinstance(records, PackedRecords) else 0


def _body(retrieval: Retrieval) -> bytes:
    statistics, columns = retrieval.statistics, retrieval.columns
    records = [pack(record) for record in retrieval.records]
    head = orjson.dumps(
        [
            retrieval.text,
            retrieval.query_text,
            sorted(retrieval.names),
            retrieval.stems,
            statistics.documents,
            statistics.length_sum,
            dict(statistics.frequency),
            retrieval.exact,
            len(records),
            sorted({record.type.value for record in retrieval.records}),
        ]
    )
    head += b" " * (-(_LENGTH.size + len(head)) % 8)
    ends = np.cumsum([0, *map(len, records)], dtype=_ENDS)
    arrays = [np.ascontiguousarray(getattr(columns, name).T, dtype=kind).tobytes() for name, kind in _COLUMNS]
    return b"".join([_LENGTH.pack(len(head)), head, *arrays, ends.tobytes(), *records])


def _opened(raw: bytes, key: bytes) -> tuple[int, int, int, int]:
    """The flags, the moment after which it counts no longer, the sum, and where the epoch ends."""
    if len(raw) < _EPOCH_AT:
        raise Unreadable("too short")
    magic, version, flags, length, until, checksum = _HEAD.unpack_from(raw)
    if magic != _MAGIC or version != VERSION:
        raise Unreadable("of another version")
    if raw[_HEAD.size : _EPOCH_AT] != key:
        raise Unreadable("another question's")
    return flags, until, checksum, _EPOCH_AT + length


def _inflated(raw: bytes) -> bytes:
    inflater = zlib.decompressobj()
    body = inflater.decompress(raw, MOST_BYTES)
    if inflater.unconsumed_tail or not inflater.eof:
        raise Unreadable("too long")
    return body


def _read(body: bytes, epoch: str, scope: Scope) -> Retrieval:
    (size,) = _LENGTH.unpack_from(body)
    at = _LENGTH.size + size
    text, query_text, names, stems, documents, length_sum, frequency, exact, count, kinds = orjson.loads(
        memoryview(body)[_LENGTH.size : at]
    )
    columns, at = _columns(body, at, count, len(stems))
    ends: list[int] = np.ndarray((count + 1,), _ENDS, body, at).tolist()
    at += _ENDS.itemsize * len(ends)
    if ends[0] != 0 or ends != sorted(ends) or at + ends[-1] != len(body):
        raise Unreadable("of another length")
    for kind in kinds:  # a record is read when it is asked for, which is too late to find out
        KINDS[kind]
    records = PackedRecords(body, at, ends, scope)
    if count:  # who writes records otherwise writes all of them so; and the nearest is the likeliest to be shown
        records[0]
    return Retrieval(
        epoch=epoch,
        text=text,
        query_text=query_text,
        names=frozenset(names),
        stems=tuple(stems),
        statistics=LexicalStatistics(epoch, documents, length_sum, frequency),
        columns=columns,
        records=records,
        exact=exact,
    )


def _columns(body: bytes, at: int, count: int, stems: int) -> tuple[Columns, int]:
    """The columns from a place on, and where they end. Those of one kind are taken at once, which costs as one does."""
    arrays: dict[str, NDArray[Any]] = {}
    for kind, names in _BY_KIND:
        rows = len(names) - 1 + stems if names[-1] == "frequency" else len(names)
        block: NDArray[Any] = np.ndarray((rows, count), kind, body, at)  # not to be written to, as the bytes are not
        arrays.update(zip(names, block, strict=False))
        if names[-1] == "frequency":
            arrays["frequency"] = block[len(names) - 1 :].T  # sums of another order differ
        at += rows * count * kind.itemsize
    return _rebuilt([arrays[name] for name in _NAMES]), at
