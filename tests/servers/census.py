"""A recount of all that is stored under a prefix, key by key and without the code under test."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import cast

from router_memory.backends.valkey.keys import Keys
from tests.servers.resp import Answer, ask, ask_many

__all__ = ["Census", "census"]

_SCAN = "1000"
_TEXTS = {b"epoch", b"user", b"layout"}
"""Fields of the statistics that count nothing."""

Hash = dict[bytes, bytes]


@dataclass
class _User:
    """What was found of one user.

    Attributes:
        meta: The statistics; empty when there are none.
        order: The members of the order.
        records: Hashes of memories by id.
        parts: Hashes of further vectors by number and id.
    """

    meta: Hash = field(default_factory=dict)
    order: set[bytes] = field(default_factory=set)
    records: dict[str, Hash] = field(default_factory=dict)
    parts: dict[tuple[int, str], Hash] = field(default_factory=dict)


@dataclass
class Census:
    """Everything under a prefix on one server.

    Attributes:
        users: By digest.
        schema: What the schema record says.
        strangers: Keys that are none of ours.
    """

    users: dict[str, _User] = field(default_factory=lambda: defaultdict(_User))
    schema: Hash = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)

    @property
    def memories(self) -> int:
        """How many records there are."""
        return sum(len(user.records) for user in self.users.values())

    @property
    def keys(self) -> int:
        """How many keys there are, without the schema."""
        each = (len(u.records) + len(u.parts) + bool(u.meta) + bool(u.order) for u in self.users.values())
        return sum(each) + len(self.strangers)

    def faults(self) -> list[str]:
        """What does not add up: statistics against records, order against records, vectors without a memory."""
        found = [f"stranger {key}" for key in self.strangers]
        for digest, user in self.users.items():
            found += [f"{digest}: {fault}" for fault in _faults(digest, user)]
        return found


def census(host: str, port: int, prefix: str) -> Census:
    """Reads every key under a prefix of one server, by SCAN."""
    counted = Census()
    names = sorted(_names(host, port, prefix))
    commands = [("ZRANGE", name, "0", "-1") if f"{prefix}order:" in name else ("HGETALL", name) for name in names]
    for name, reply in zip(names, ask_many(port, commands, host=host), strict=True):
        rest = name[len(prefix) :]
        if isinstance(reply, list):  # else it is gone, or of another type
            _file(counted, rest, cast("list[bytes]", reply))
        else:
            counted.strangers.append(rest)
    return counted


def _names(host: str, port: int, prefix: str) -> set[str]:
    names: set[str] = set()
    cursor = b"0"
    while True:
        reply = cast("list[Answer]", ask(port, "SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _SCAN, host=host))
        cursor = cast("bytes", reply[0])
        names.update(name.decode() for name in cast("list[bytes]", reply[1]))
        if cursor == b"0":
            return names


def _file(counted: Census, rest: str, reply: list[bytes]) -> None:
    """Puts one key where it belongs."""
    pairs = dict(zip(reply[::2], reply[1::2], strict=False))
    kind, _, tail = rest.partition("{")
    digest, _, behind = tail.partition("}")
    if rest == "schema":
        counted.schema = pairs
    elif kind == "meta:" and not behind:
        counted.users[digest].meta = pairs
    elif kind == "order:" and not behind:
        counted.users[digest].order = set(reply)
    elif not kind and behind.startswith(":"):
        counted.users[digest].records[behind[1:]] = pairs
    elif not kind and behind.startswith("#"):
        number, _, name = behind[1:].partition(":")
        counted.users[digest].parts[int(number), name] = pairs
    else:
        counted.strangers.append(rest)


def _faults(digest: str, user: _User) -> list[str]:
    expected: Counter[str] = Counter()
    order: set[bytes] = set()
    parts: dict[tuple[int, str], Hash] = {}
    found = []
    for name, row in user.records.items():
        missing = {b"user", b"type", b"memory", b"state", b"embedding"} - set(row)
        if missing:
            found.append(f"{name} lacks {sorted(missing)}")
            continue
        origin, text = (json.loads(half) for half in row[b"memory"].split(b"\0"))
        _, length, stems, vectors = text
        project, kind = row.get(b"project", b"").decode(), row[b"type"].decode()
        expected.update({"documents": 1, "length": length, "vectors": vectors, f"n:{kind}": 1})
        expected.update(f"df:{stem}" for stem in stems)
        if project:
            expected[f"n:{kind}:{project}"] += 1
        order.add(f"{origin[-1]}{name}\0{kind[:1]}{project}".encode())
        if set(row.get(b"stems", b"").decode().split(",")) - {""} != set(Keys("", digest).stem_tags(stems)):
            found.append(f"{name} has other stems in the index than in its document")
        if row[b"state"].split(b" ")[0] != row[b"type"] or row[b"user"].decode() != digest:
            found.append(f"{name} contradicts itself")
        own = _parts(name, row)
        if len(own) != vectors - 1:
            found.append(f"{name} has {len(own) + 1} vectors instead of {vectors}")
        parts |= own
    counts = {key.decode(): value.decode() for key, value in user.meta.items() if key not in _TEXTS}
    found += _differences(counts, {key: str(count) for key, count in expected.items() if count})
    if user.order != order:
        found.append(f"{len(user.order)} in the order, {len(order)} in the records")
    if user.parts != parts:
        found.append(f"vectors {sorted(user.parts)}, the records have {sorted(parts)}")
    return found


def _parts(name: str, row: Hash) -> dict[tuple[int, str], Hash]:
    """The hashes that belong to the vectors of a memory beside the first."""
    size, more = len(row[b"embedding"]), row.get(b"more", b"")
    copied: Hash = {key: row[key] for key in (b"user", b"type", b"project") if key in row}
    rows = [more[start : start + size] for start in range(0, len(more), size)]
    return {(number, name): {**copied, b"embedding": vector} for number, vector in enumerate(rows, 1)}


def _differences(counts: dict[str, str], expected: dict[str, str]) -> list[str]:
    return [
        f"{key} is {counts.get(key)}, counted {expected.get(key)}"
        for key in sorted(counts.keys() | expected.keys())
        if counts.get(key) != expected.get(key)
    ]
