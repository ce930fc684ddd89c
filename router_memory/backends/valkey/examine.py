"""What an operator should know of the server: each check one finding, whatever it meets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from router_memory.backends.valkey.facts import (
    NOBODY,
    Facts,
    encryption,
    pairs_of,
    server_facts,
    text_of,
    total,
    version_of,
)
from router_memory.backends.valkey.keys import schema_key
from router_memory.backends.valkey.losses import lost_vectors
from router_memory.backends.valkey.query import LONGEST_TIMEOUT_MS, Knn, Options, nearest, owned_by
from router_memory.backends.valkey.records import encode_vectors
from router_memory.backends.valkey.rights import Rights
from router_memory.backends.valkey.schema import Layout, Shape
from router_memory.backends.valkey.totals import totals
from router_memory.errors import BackendError, BackendRejected, BackendUnavailable, IndexMismatch, InvalidRequest
from router_memory.types import REACHABLE, CheckStatus, Finding, Scope, StoreStats, several, size_text

if TYPE_CHECKING:
    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.index import MainIndex
    from router_memory.backends.valkey.promotion import Promotions

__all__ = ["Examination"]

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL

_OPERATION = "examine"
_SUSPENSION = "search.max-worker-suspension-secs"
_SKIPPED = "search.skip-rdb-load"
_OLDEST_SERVER = (9, 0, 1)
_OLDEST_MODULE = (1, 2, 0)
_ROUNDS = 20
_SLOW_PING_SECONDS = 0.01
_MEMORY_WARNING = 0.8
_ENOUGH_TO_MEASURE = 1_000
_VECTOR_COPIES = 2.0  # one in the hash, one in the FLAT index
_TEXT_BYTES = 5_100
"""Of a memory of 200 characters beside its vector: hash, tags, statistics, order; measured by ``bench.valkey``."""


@dataclass(frozen=True, slots=True)
class Examination:
    """Looks at everything once.

    Attributes:
        connection: Opened; the server may be away.
        index, promotions: Of the store.
        wanted: What the data are to be; ``None`` when no model was there to say.
        shape: How they are to be indexed.
    """

    connection: Connection
    index: MainIndex
    promotions: Promotions
    wanted: Layout | None
    shape: Shape

    async def findings(self, planned: int | None) -> tuple[Finding, ...]:
        """See `MemoryStore.examine`.

        Raises:
            InvalidRequest: `planned` is no positive number.
        """
        if planned is not None and planned < 1:
            raise InvalidRequest("planned must be at least 1", field="planned")
        try:
            began = perf_counter()
            await self.connection.command(_OPERATION, "PING")
            seconds = perf_counter() - began
        except BackendError as error:
            name = REACHABLE if isinstance(error, BackendUnavailable) else "login"
            return (Finding(name, FAIL, error.message, error.hint, {"error": type(error).__name__}),)
        found = [Finding(REACHABLE, OK, f"{self.connection.location} answers", data={"first_seconds": seconds})]
        found.append(encryption(self.connection, "encryption"))
        facts = await self._facts(found)
        checks = {
            "module": self._module,
            "saving": self._saving,
            "loading": self._loading,
            "data": self._data,
            "index": self._index,
            "rights": Rights(self.connection, self.index.prefix, self.index.name, self.shape).finding,
        }
        found += [await self._safely(name, check) for name, check in checks.items()]
        held = await self._held(found)
        if planned is not None:
            found.append(self._planned(planned, held, facts))
        found += [*self._memory(facts), *self._persistence(facts), *self._replication(facts)]
        found.append(await self._safely("latency", self._latency))
        return tuple(found)

    async def _safely(self, name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
        """A check's finding; what kept it from finding out is one, too."""
        try:
            return await check()
        except IndexMismatch as error:
            return Finding(name, FAIL, error.message, error.hint, {"expected": error.expected, "found": error.found})
        except BackendError as error:
            return Finding(name, FAIL, error.message, error.hint, {"error": type(error).__name__})

    async def _facts(self, found: list[Finding]) -> Mapping[str, Facts]:
        try:
            facts = await server_facts(self.connection, _OPERATION)
        except BackendError as error:
            found.append(Finding("server", WARN, f"its state cannot be read: {error.message}", error.hint))
            return {}
        versions = {version_of(node)[1] for node in facts.values()}
        oldest = min(_version(text) for text in versions)
        text = f"Valkey {', '.join(sorted(versions))}"
        if len(facts) > 1:
            text += f" on {len(facts)} primaries"
        fits = oldest >= _OLDEST_SERVER
        advice = "" if fits else f"Search 1.2 needs Valkey {'.'.join(map(str, _OLDEST_SERVER))} or newer"
        found.append(Finding("server", OK if fits else WARN, text, advice, {"versions": sorted(versions)}))
        return facts

    async def _module(self) -> Finding:
        await self.connection.command(_OPERATION, "FT._LIST")
        try:
            modules = await self.connection.command(_OPERATION, "MODULE", "LIST")
        except BackendRejected:
            return Finding("module", OK, "Search answers; its version may not be read by this user")
        version = next((_number(module) for module in map(pairs_of, modules) if module.get("name") == "search"), 0)
        parts = (version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF)
        text = ".".join(map(str, parts))
        if parts < _OLDEST_MODULE:
            return Finding("module", WARN, f"Search {text}", "update it: Search 1.2 or newer is what is tested")
        return Finding("module", OK, f"Search {text}", data={"version": text})

    async def _saving(self) -> Finding:
        """Whether a script may write while a child process saves (valkey-search issue 1260)."""
        well, harm = "writes go on while the server saves", "a write while the server saves may stop it for good"
        return await self._set_to("saving", _SUSPENSION, "0", well, harm)

    async def _loading(self) -> Finding:
        """Whether a server that starts, or a replica, makes its FLAT index anew.

        Search 1.2.1 forgets which numbers the vectors of a FLAT index have that it reads from a file, and gives them
        to new vectors again, which are not found then; searches give other memories in their place.
        """
        if self.shape.index_type != "flat":
            return Finding("loading", OK, "an index that is no FLAT one is whole after a restart")
        well, harm = "the index is made anew when the server starts", "memories stored after a restart may not be found"
        return await self._set_to("loading", _SKIPPED, "yes", well, harm)

    async def _set_to(self, name: str, setting: str, wanted: str, well: str, harm: str) -> Finding:
        """Whether all primaries have a setting as it should be."""
        values = await self._setting(setting)
        if values is None:
            return Finding(name, OK, f"{setting} may not be read by this user; it should be {wanted}")
        if values <= {wanted}:
            return Finding(name, OK, well)
        advice = f"CONFIG SET {setting} {wanted} on every node and replica, and the same in their configuration"
        return Finding(name, WARN, f"{setting} is {', '.join(sorted(values))}: {harm}", advice)

    async def _setting(self, name: str) -> set[str] | None:
        """The values that the primaries have for a setting; ``None`` when this user may not read them."""
        try:
            replies = await self.connection.command(_OPERATION, "CONFIG", "GET", name, everywhere=True)
        except BackendRejected:
            return None
        return {text_of(value) for reply in replies.values() for value in pairs_of(reply).values()}

    async def _data(self) -> Finding:
        key = schema_key(self.index.prefix)
        reply = await self.connection.command(_OPERATION, "HGETALL", key, key=key)
        fields = pairs_of(reply)
        if not fields:
            return Finding(
                "data",
                WARN,
                f"there are no memories under {self.index.prefix} yet; the first start with a model prepares it",
                "nothing to do, unless you expected memories here: then check database and collection_prefix",
            )
        self.index.compare_layout(_OPERATION, fields)
        written = "/".join(fields["fingerprint"].split("/")[:2])
        if self.wanted is None:
            return Finding("data", WARN, f"written with {written}; no model was there to compare it with", data=fields)
        return Finding("data", OK, f"written with the configured model, {written}", data=fields)

    async def _index(self) -> Finding:
        info = await self.index.summary(_OPERATION)
        if info is None:
            return Finding("index", WARN, f"there is no index {self.index.name} yet", "the first start makes it")
        self.index.compare(_OPERATION, info, self.wanted)
        data = {
            "documents": info.documents,
            "failures": info.failures,
            "ready": info.ready,
            "progress": info.progress,
            "algorithm": info.algorithm,
            "metric": info.metric,
            "dimension": info.dimension,
        }
        text = f"{self.index.name}: {info.algorithm} {info.metric}, {several(info.documents, 'vector', 'vectors')}"
        if not info.ready:
            advice = "searches are partial until it is done; nothing is lost"
            return Finding("index", WARN, f"{text}, being built, {info.progress:.0%} done", advice, data)
        data["lost"] = lost = await lost_vectors(self.connection, self.index.name)
        if lost > info.failures:
            where = ", on every primary" if self.connection.cluster else ""
            advice = (
                f"set {_SKIPPED} yes and make the index anew{where}, which keeps the memories (if they are lost again "
                f"at once, something else writes under this collection_prefix): {self.index.drop_command}"
            )
            return Finding("index", FAIL, f"{text}; {lost:,} of them cannot be found", advice, data)
        if info.failures:
            advice = "something else writes under this collection_prefix: give it to this program alone"
            return Finding("index", WARN, f"{text}; {info.failures:,} hashes could not be read", advice, data)
        return Finding("index", OK, f"{text}, ready", data=data)

    async def _held(self, found: list[Finding]) -> StoreStats | None:
        try:
            held = await totals(self.connection, self.index, self.promotions)
        except BackendError as error:
            found.append(Finding("memories", FAIL, error.message, error.hint))
            return None
        promoted, most = int(str(held.details["promoted_users"])), self.promotions.most
        text = (
            f"{several(held.memories, 'memory', 'memories')} of {several(held.users, 'user', 'users')}; "
            f"{several(promoted, 'large user has', 'large users have')} an HNSW index of their own"
        )
        full = promoted >= most > 0
        advice = "raise max_promoted: further large users are searched exactly, and slower" if full else ""
        data = {"memories": held.memories, "users": held.users, "promoted": promoted, **held.details}
        found.append(Finding("memories", WARN if full else OK, text, advice, data))
        return held

    def _planned(self, planned: int, held: StoreStats | None, facts: Mapping[str, Facts]) -> Finding:
        """The memory that so many memories will take: as those that are there, or by rule where there are few."""
        used, limit = total(facts, "used_memory"), total(facts, "maxmemory")
        base = total(facts, "used_memory_startup")
        dimension = self.wanted.dimension if self.wanted else 384
        each, basis = 4 * dimension * _VECTOR_COPIES + _TEXT_BYTES, "by rule for 200 characters; too few to measure"
        if held is not None and held.memories >= _ENOUGH_TO_MEASURE and used > base:
            each, basis = (used - base) / held.memories, f"as those {held.memories:,} here, and all else on the server"
        needed = each * planned
        tight = limit and needed > limit * _MEMORY_WARNING
        text = f"{planned:,} memories will take about {size_text(needed)}, {each:,.0f} bytes each ({basis})"
        advice = f"maxmemory is {size_text(limit)}: raise it, with room for the copy that a save makes" if tight else ""
        data = {"memories": planned, "bytes": round(needed), "bytes_each": each}
        return Finding("planned", WARN if tight else OK, text, advice, data)

    def _memory(self, facts: Mapping[str, Facts]) -> list[Finding]:
        if not facts:
            return []
        policies = {node.get("maxmemory_policy", "noeviction") for node in facts.values()}
        evicting = sorted(policies - {"noeviction"})
        used, limit = total(facts, "used_memory"), total(facts, "maxmemory")
        data = {"used_bytes": used, "limit_bytes": limit, "policy": sorted(policies)}
        if evicting:
            advice = "set maxmemory-policy noeviction: any other deletes memories when the server is full"
            return [Finding("memory", FAIL, f"policy {', '.join(evicting)}", advice, data)]
        if not limit:
            advice = "set maxmemory below the machine's, so that the server refuses before the system kills it"
            return [Finding("memory", WARN, f"{size_text(used)} used, no limit", advice, data)]
        tight = used > limit * _MEMORY_WARNING
        text = f"{size_text(used)} of {size_text(limit)} used, noeviction"
        advice = "raise maxmemory or forget memories: a full server refuses writes and searches" if tight else ""
        return [Finding("memory", WARN if tight else OK, text, advice, data)]

    def _persistence(self, facts: Mapping[str, Facts]) -> list[Finding]:
        if not facts:
            return []
        nodes = facts.values()
        data = {"aof": all(node.get("aof_enabled") == "1" for node in nodes)}
        broken = [
            name
            for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
            if any(node.get(name, "ok") != "ok" for node in nodes)
        ]
        if broken:
            advice = "look at the server's log and disk: what is written now may not survive a restart"
            return [Finding("persistence", FAIL, f"the last save failed: {', '.join(broken)}", advice, data)]
        if data["aof"]:
            return [Finding("persistence", OK, "append-only file is on", data=data)]
        advice = "set appendonly yes: a restart loses what was written since the last snapshot, or everything"
        return [Finding("persistence", WARN, "append-only file is off", advice, data)]

    def _replication(self, facts: Mapping[str, Facts]) -> list[Finding]:
        if not facts:
            return []
        replicas = [node for node in facts.values() if node.get("role") not in {"master", "primary"}]
        if replicas:
            advice = "configure the primary's address: a replica refuses writes"
            return [Finding("replication", FAIL, "this server is a replica", advice)]
        count = total(facts, "connected_slaves")
        return [
            Finding(
                "replication", OK, f"primary with {several(count, 'replica', 'replicas')}", data={"replicas": count}
            )
        ]

    async def _latency(self) -> Finding:
        """Medians of a PING, of a read, and of a search of nobody's memories."""
        dimension = self.index.layout.dimension if self.index.layout else self.wanted.dimension if self.wanted else 0
        key = f"{self.index.prefix}meta:{{{NOBODY}}}"
        ping = await self._timed(lambda: self.connection.command(_OPERATION, "PING"))
        read = await self._timed(lambda: self.connection.command(_OPERATION, "HGET", key, "epoch", key=key))
        data = {"ping_seconds": ping, "read_seconds": read}
        text = f"PING {ping * 1000:.2f} ms, read {read * 1000:.2f} ms"
        if dimension and await self.index.summary(_OPERATION) is not None:
            search = await self._timed(lambda: self._search(dimension, key))
            data["search_seconds"] = search
            text += f", search {search * 1000:.2f} ms"
        slow = ping > _SLOW_PING_SECONDS
        advice = "the server is far away or busy: a request's deadline has to hold two round trips" if slow else ""
        return Finding("latency", WARN if slow else OK, text, advice, data)

    async def _timed(self, call: Callable[[], Awaitable[object]]) -> float:
        seconds = []
        for _ in range(_ROUNDS):
            began = perf_counter()
            await call()
            seconds.append(perf_counter() - began)
        return median(seconds)

    async def _search(self, dimension: int, key: str) -> None:
        vector = np.zeros(dimension, np.float32)
        vector[0] = 1.0
        knn = Knn(10, encode_vectors(vector), self.shape.ef_main)
        where = owned_by(Scope("router-memory doctor"), frozenset())
        options = Options(timeout_ms=min(int(self.connection.timeout * 1000), LONGEST_TIMEOUT_MS))
        command = nearest(self.index.name, where, knn, replace(options, local=self.connection.cluster))
        (reply,) = await self.connection.pipeline(_OPERATION, [command], key=key, search=True)
        if isinstance(reply, BackendError):
            raise reply


def _number(module: Mapping[str, Any]) -> int:
    return int(module.get("ver", 0))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
