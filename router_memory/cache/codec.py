"""How an answer is written for the shared cache.

    magic, version, flags, length of the epoch       4s B B H
    moment after which it counts no longer           Q, milliseconds since 1970
    CRC-32 of everything but the head                I
    key of the question, 32 bytes; epoch; body

The body, deflated where it is long: the length of a JSON head, the head, the columns one behind the other, where each
record begins, the records as JSON arrays. Records are read one by one when they are asked for, since a search shows
few of its candidates. Vectors are left out. Nothing that is read is ever run.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import datetime
from sys import getsizeof
from time import time
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import orjson

from router_memory.cache.keys import KEY_BYTES, VERSION
from router_memory.types import Columns, LexicalStatistics, MemoryRecord, MemoryType, Retrieval, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
_DEFLATED = 1
_LEVEL = 1
_LONGEST_EPOCH = 1_000

_COLUMNS: tuple[tuple[str, np.dtype[Any]], ...] = (  # widest first, so that each begins at a multiple of its width
    ("cosine", np.dtype("<f8")),
    ("position", np.dtype("<i8")),
    ("parts", np.dtype("<i4")),
    ("length", np.dtype("<i4")),
    ("conversation", np.dtype("<i4")),
    ("speaker", np.dtype("<i4")),
    ("frequency", np.dtype("<i4")),
    ("dated", np.dtype("i1")),
    ("assistant", np.dtype("?")),
    ("asking", np.dtype("?")),
    ("spoken", np.dtype("?")),
    ("timed", np.dtype("?")),
)

_ENDS = np.dtype("<i4")
_TYPES: dict[str, MemoryType] = {member.value: member for member in MemoryType}
_RETRIEVAL_BYTES = 4_000
_RECORD_BYTES = 900
_COLUMN_FACTOR = 6


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
    flags, end = _checked(raw, key)
    del flags
    return raw[_HEAD.size + KEY_BYTES : end].decode("ascii", "replace")


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
    flags, end = _checked(raw, key)
    if _HEAD.unpack_from(raw)[4] < time() * 1000:
        raise Expired
    if zlib.crc32(memoryview(raw)[_HEAD.size :]) != _HEAD.unpack_from(raw)[5]:
        raise Unreadable("damaged")
    try:
        epoch = raw[_HEAD.size + KEY_BYTES : end].decode()
        return _read(_inflated(raw[end:]) if flags & _DEFLATED else raw[end:], epoch, scope)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, struct.error, zlib.error) as error:
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
    """What an answer takes in memory with its ranking, in bytes, roughly."""
    records, columns = retrieval.records, retrieval.columns
    numbers = sum(int(getattr(columns, name).nbytes) for name, _ in _COLUMNS)
    texts = (
        sum(getsizeof(record.content) for record in records) if isinstance(records, tuple) else _packed_bytes(records)
    )
    return _RETRIEVAL_BYTES + _COLUMN_FACTOR * numbers + _RECORD_BYTES * len(records) + texts


def _packed_bytes(records: Sequence[MemoryRecord]) -> int:
    """Of records as they came, and what is read of them."""
    return 2 * records.nbytes if isinstance(records, _Records) else 0


def _body(retrieval: Retrieval) -> bytes:
    statistics, columns = retrieval.statistics, retrieval.columns
    records = [orjson.dumps(_values(record)) for record in retrieval.records]
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


def _values(record: MemoryRecord) -> list[object]:
    return [
        record.id,
        record.scope.project,
        record.content,
        record.type.value,
        record.role,
        record.speaker,
        record.conversation_id,
        record.position,
        record.part,
        record.created_at,
        record.updated_at,
        record.importance,
        record.access_count,
        record.accessed_at,
    ]


def _checked(raw: bytes, key: bytes) -> tuple[int, int]:
    """The flags, and where the epoch ends."""
    if len(raw) < _HEAD.size + KEY_BYTES:
        raise Unreadable("too short")
    magic, version, flags, length, _, _ = _HEAD.unpack_from(raw)
    if magic != _MAGIC or version != VERSION:
        raise Unreadable("of another version")
    if raw[_HEAD.size : _HEAD.size + KEY_BYTES] != key:
        raise Unreadable("another question's")
    return flags, _HEAD.size + KEY_BYTES + length


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
    arrays: dict[str, NDArray[Any]] = {}
    for name, kind in _COLUMNS:
        wide = count * len(stems) if name == "frequency" else count
        arrays[name] = np.frombuffer(body, dtype=kind, count=wide, offset=at)
        at += arrays[name].nbytes
    ends = np.frombuffer(body, dtype=_ENDS, count=count + 1, offset=at)
    at += ends.nbytes
    if ends[0] != 0 or np.any(ends[1:] < ends[:-1]) or at + int(ends[-1]) != len(body):
        raise Unreadable("of another length")
    for kind in kinds:  # a record is read when it is asked for, which is too late to find out
        _TYPES[kind]
    arrays["frequency"] = arrays["frequency"].reshape(len(stems), count).T  # sums of another order differ
    return Retrieval(
        epoch=epoch,
        text=text,
        query_text=query_text,
        names=frozenset(names),
        stems=tuple(stems),
        statistics=LexicalStatistics(epoch, documents, length_sum, frequency),
        columns=Columns(**arrays),
        records=_Records(body, at, ends, scope),
        exact=exact,
    )


class _Records(Sequence[MemoryRecord]):
    """Records that are read when they are asked for."""

    def __init__(self, body: bytes, start: int, ends: NDArray[np.int32], scope: Scope) -> None:
        self._body = memoryview(body)[start:]
        self._ends: list[int] = ends.tolist()
        self._scopes = {scope.project: scope}
        self._user_id = scope.user_id
        self._read: dict[int, MemoryRecord] = {}
        self.nbytes = len(body)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> MemoryRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MemoryRecord]: ...
    def __getitem__(self, index: int | slice) -> MemoryRecord | Sequence[MemoryRecord]:
        """The record at a place."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        record = self._read.get(place)
        if record is None:
            values = orjson.loads(self._body[self._ends[place] : self._ends[place + 1]])
            record = self._read[place] = _record(values, self._scope(values[1]))
        return record

    def _scope(self, project: str | None) -> Scope:
        scope = self._scopes.get(project)
        if scope is None:
            scope = self._scopes[project] = Scope(self._user_id, project)
        return scope


def _record(values: Sequence[Any], scope: Scope) -> MemoryRecord:
    name, _, content, kind, role, speaker, conversation, position, part, created, updated, *rest = values
    importance, access_count, accessed = rest
    return MemoryRecord(
        id=name,
        scope=scope,
        content=content,
        type=_TYPES[kind],
        role=role,
        speaker=speaker,
        conversation_id=conversation,
        position=position,
        part=part,
        created_at=datetime.fromisoformat(created),
        updated_at=datetime.fromisoformat(updated),
        importance=importance,
        access_count=access_count,
        accessed_at=None if accessed is None else datetime.fromisoformat(accessed),
    )
