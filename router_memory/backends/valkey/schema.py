"""The indexes: how they are created, and what the server says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from router_memory.backends.valkey.damage import Damaged, Foreign

__all__ = [
    "METRICS",
    "VERSION",
    "IndexInfo",
    "Layout",
    "Shape",
    "create_main",
    "create_promoted",
    "for_cluster",
    "parse_info",
]

VERSION = "1"
"""Of the layout of keys and hashes."""

METRICS = ("COSINE", "L2", "IP")

_ALGORITHMS = {"flat": "FLAT", "hnsw": "HNSW"}

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the data under a prefix are.

    Attributes:
        dimension: Of the vectors.
        fingerprint: Of the embedder they were made with.
        version: Of keys and hashes.
    """

    dimension: int
    fingerprint: str
    version: str = VERSION

    @property
    def token(self) -> str:
        """What stands beside each user's data, so that nobody mixes vectors of two embedders: 16 hex characters."""
        whole = f"{self.version}/{self.dimension}/{self.fingerprint}"
        return blake2b(whole.encode(), digest_size=8).hexdigest()

    def values(self) -> Command:
        """Fields and values to be written down."""
        return ("version", self.version, "dimension", str(self.dimension), "fingerprint", self.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How vectors are indexed.

    Attributes:
        index_type: Of the index over everything: ``flat`` (exact) or ``hnsw``.
        metric: One of `METRICS`.
        m, ef_construction: Of HNSW graphs: edges for each vector, and breadth of search when one is added.
        ef_runtime: Breadth of search in an HNSW graph.
    """

    index_type: str = "flat"
    metric: str = "COSINE"
    m: int = 16
    ef_construction: int = 256
    ef_runtime: int = 200

    @property
    def distance_scale(self) -> float:
        """What turns a distance of two unit vectors into 1 - cosine.

        COSINE and IP give 1 - dot, L2 the square of the Euclidean distance, which is 2 - 2 dot.
        """
        return 0.5 if self.metric == "L2" else 1.0

    @property
    def ef_main(self) -> int | None:
        """EF_RUNTIME of searches in the index over everything; ``None`` where it is exact."""
        return self.ef_runtime if self.index_type == "hnsw" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """What FT.INFO says of an index.

    Attributes:
        name: Its name.
        dimension, metric, algorithm: Of its vectors; the algorithm is ``FLAT`` or ``HNSW``.
        prefixes: Of the keys it holds.
        ready: Whether all keys that were there when it was created are in it and none waits.
        progress: Share of those keys that were looked at, in [0, 1].
        documents: Keys in it.
        failures: Hashes it could not read.
    """

    name: str
    dimension: int
    metric: str
    algorithm: str
    prefixes: tuple[str, ...]
    ready: bool
    progress: float
    documents: int
    failures: int


def create_main(name: str, prefix: str, dimension: int, shape: Shape) -> Command:
    """FT.CREATE of the index over everything.

    The prefix ends with the brace every memory's key goes on with, which statistics and order have not.
    """
    tags = ("user", "TAG", "CASESENSITIVE", "project", "TAG", "CASESENSITIVE", "type", "TAG", "CASESENSITIVE")
    stems = ("stems", "TAG", "SEPARATOR", ",", "CASESENSITIVE")
    head = ("FT.CREATE", name, "ON", "HASH", "PREFIX", "1", f"{prefix}{{", "SCHEMA")
    return (*head, *tags, *stems, *_vector(shape.index_type, dimension, shape))


def create_promoted(name: str, base: str, dimension: int, shape: Shape, capacity: int) -> Command:
    """FT.CREATE of the HNSW index of one user: nothing but vectors, under the user's own prefix.

    Args:
        name: Holds the same hash tag as the prefix, as the module asks on a cluster.
        base: What the keys of the user's memories start with.
        dimension, shape: As of the index over everything.
        capacity: How many vectors to make room for at once.
    """
    head = ("FT.CREATE", name, "ON", "HASH", "PREFIX", "1", base, "SCHEMA")
    return (*head, *_vector("hnsw", dimension, shape, capacity))


def _vector(index_type: str, dimension: int, shape: Shape, capacity: int = 0) -> Command:
    options = ["TYPE", "FLOAT32", "DIM", str(dimension), "DISTANCE_METRIC", shape.metric]
    if capacity:
        options += ["INITIAL_CAP", str(capacity)]
    if index_type == "hnsw":
        options += ["M", str(shape.m), "EF_CONSTRUCTION", str(shape.ef_construction)]
        options += ["EF_RUNTIME", str(shape.ef_runtime)]
    return ("embedding", "VECTOR", _ALGORITHMS[index_type], str(len(options)), *options)


def parse_info(reply: object) -> IndexInfo:
    """Reads the reply of FT.INFO.

    Raises:
        Foreign: It is not one of an index of ours.
    """
    info = _mapping(reply)
    try:
        vector = next(found for found in map(_mapping, info["attributes"]) if _text(found["identifier"]) == "embedding")
        index = _mapping(vector["index"])
        queued = int(_text(info["mutation_queue_size"]))
        return IndexInfo(
            name=_text(info["index_name"]),
            dimension=int(_text(index["dimensions"])),
            metric=_text(index["distance_metric"]),
            algorithm=_text(_mapping(index["algorithm"])["name"]),
            prefixes=tuple(map(_text, _mapping(info["index_definition"])["prefixes"])),
            ready=_text(info["state"]) == "ready" and queued == 0,
            progress=float(_text(info["backfill_complete_percent"])),
            documents=int(_text(info["num_docs"])),
            failures=int(_text(info["hash_indexing_failures"])),
        )
    except (KeyError, StopIteration, ValueError, TypeError):
        name = _text(info.get("index_name", ""))
        raise Foreign(f"the index {name} is not one of the store's") from None


def for_cluster(info: IndexInfo, primaries: object, progress: object) -> IndexInfo:
    """One node's word on an index, with the documents and the progress of all.

    Args:
        info: What FT.INFO says on one node.
        primaries, progress: The replies of its forms PRIMARY and CLUSTER.

    Raises:
        Damaged: They are something else.
    """
    totals, state = _mapping(primaries), _mapping(progress)
    try:
        return replace(
            info,
            documents=int(_text(totals["num_docs"])),
            failures=int(_text(totals["hash_indexing_failures"])),
            ready=_text(state["state"]) == "ready" and info.ready,
            progress=float(_text(state["backfill_complete_percent_min"])),
        )
    except (KeyError, ValueError):
        raise Damaged("the state of an index on this cluster cannot be read") from None


def _mapping(reply: Any) -> Mapping[str, Any]:
    """Pairs, which come as a map or as a list of names and values in turn."""
    if isinstance(reply, Mapping):
        return {_text(name): value for name, value in reply.items()}
    if not isinstance(reply, Sequence) or isinstance(reply, bytes | str):
        raise Foreign("what the server says of an index cannot be read")
    names = [_text(name) for name in reply[::2]]
    return dict(zip(names, reply[1::2], strict=False))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
