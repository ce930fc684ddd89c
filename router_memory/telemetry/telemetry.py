"""`Telemetry`: where the interfaces of a process report to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from router_memory.telemetry.labels import OTHER, Bounded, status_class
from router_memory.telemetry.logs import access_line
from router_memory.telemetry.metrics import STAGES, Metrics
from router_memory.telemetry.registry import Registry
from router_memory.telemetry.routes import ROUTES
from router_memory.telemetry.sampling import Sampler
from router_memory.telemetry.tally import Tally
from router_memory.telemetry.timeline import Timeline
from router_memory.telemetry.tracing import Tracing
from router_memory.telemetry.visits import Visit, current_visit, enter, sane_request_id
from router_memory.types import CacheLevel

if TYPE_CHECKING:
    from router_memory.memory import MemoryPlugin
    from router_memory.plugin.writes import Receipt
    from router_memory.types import Outcome

__all__ = ["Telemetry"]

SAMPLE_SECONDS = 1.0
"""How often gauges are sampled: a scrape of another worker finds them this old at most."""

_MOST_DECISIONS = 500
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_INTERFACES = ("chat", "responses", "plugin", "mcp")
_OPERATIONS = ("search", "add", "list", "get", "update", "forget", "export", "import")
_OPERATION_STATUSES = ("ok", "not_found", "invalid", "unavailable", "error")
_UPSTREAM_STATUSES = ("timeout", "unreachable", "disconnected", "cancelled")
_MORE_STATUSES = 8
_BOUNDED_STORE_STATUS = {"ok": "success", "unavailable": "error"}


class Telemetry:
    """Metrics, traces and the timeline of a process. Belongs to its event loop.

    Reporting waits for nothing and raises nothing. One instance for each folder and process.

    Args:
        folder: Where the workers of a service keep their metrics, so that each can tell those of all; ``None`` for
            this process alone. It must exist, see `empty_folder`.
        log_format: ``json`` or ``text``; see `configure_logging`, which the process calls itself.
        tracing: Whether spans are made and exported as the standard ``OTEL_*`` variables say; or what makes them.

    Attributes:
        log_format: As given.
        timeline: The latest events and requests.

    Raises:
        MissingExtra: prometheus-client is not installed, or with `tracing` OpenTelemetry.
    """

    def __init__(
        self, *, folder: Path | None = None, log_format: str = "json", tracing: bool | Tracing = False
    ) -> None:
        self.log_format = log_format
        self._registry = Registry(folder)
        self._metrics = Metrics(self._registry)
        self.timeline = Timeline(noted=lambda kind: self._metrics.events(kind).inc())
        self._tracing = Tracing() if tracing is True else (tracing or None)
        self._sampler = Sampler(self._metrics, breaker=self._breaker_changed)
        self._sampling: asyncio.Task[None] | None = None
        self._thread = threading.get_ident()
        self._store_away = False
        self._tally = Tally(self._metrics, store_seen=lambda away: self.store(away=away))
        self._decision = Bounded(("none",), most=_MOST_DECISIONS, words=False)
        self._route = Bounded(ROUTES)
        self._method = Bounded(_METHODS)
        self._interface = Bounded(_INTERFACES)
        self._stage = Bounded(STAGES)
        self._operation = Bounded(_OPERATIONS, most=_MORE_STATUSES)
        self._status = Bounded(_OPERATION_STATUSES, most=_MORE_STATUSES)
        self._upstream_status = Bounded(_UPSTREAM_STATUSES, most=_MORE_STATUSES)

    # -- requests

    def know_routes(self, templates: Iterable[str]) -> None:
        """Adds templates of paths that metrics and logs may name; any other path is ``other``."""
        self._route.extend(templates)

    def begin(self, *, method: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Visit:
        """A request came: gives it an id, a span and its place among those in flight, until `Visit.end`.

        Args:
            method: Of the request.
            headers: Those of ASGI; read for ``x-request-id``, ``traceparent`` and ``tracestate``.
        """
        listed = list(headers)
        visit = Visit(sane_request_id(listed), self._method(method), time.perf_counter())
        if self._tracing is not None:
            visit.span = self._tracing.begin(visit.method, listed)
        self._metrics.in_flight().inc()
        return enter(visit, self._ended)

    def request(self, outcome: Outcome, *, interface: str) -> None:
        """Memory had its part in a chat request.

        Args:
            outcome: What it did.
            interface: ``chat``, ``responses``, ``plugin`` or ``mcp``.
        """
        explain, metrics = outcome.explain, self._metrics
        status, reason, seconds = outcome.status, outcome.reason, explain.seconds
        decision, interface = self._decision_label(explain.decision, explain.known), self._interface(interface)
        total = seconds.get("total", 0.0)
        metrics.requests(interface, decision, status, reason).inc()
        metrics.request_seconds(decision).observe(total)
        for stage, took in seconds.items():
            if stage != "total":
                metrics.stage_seconds(self._stage(stage)).observe(took)
        self._tally.request(outcome, total)
        visit = current_visit()
        if visit is not None:
            visit.status, visit.reason = status.value, reason.value
        found = explain.recollection
        cache = CacheLevel.OFF if found is None else found.cache
        self.timeline.request(decision, outcome, cache)
        if self._tracing is not None:
            self._tracing.memory(outcome, None if visit is None else visit.span, decision=decision, interface=interface)

    def receipt(self, receipt: Receipt) -> None:
        """A turn was handed over to be stored; what becomes of it is counted once that is known."""
        self._tally.receipt(receipt)

    def operation(self, operation: str, seconds: float, *, status: str, results: int | None = None) -> None:
        """The memory API or MCP did something.

        Args:
            operation: search, add, list, get, update, forget, export or import.
            seconds: What it took.
            status: ok, not_found, invalid, unavailable or error.
            results: How many memories a search found.
        """
        metrics, operation, status = self._metrics, self._operation(operation), self._status(status)
        metrics.operation_seconds(operation, status).observe(seconds)
        if operation != "search":
            stored = _BOUNDED_STORE_STATUS.get(status, status)
            metrics.store_operations(self._tally.backend, operation, stored).inc()
        elif status != "invalid":
            self._tally.search("search", seconds, results or 0, failed=status != "ok")

    def http(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `Visit.end` calls this.

        Args:
            method: Of the request.
            route: The template of the path, such as ``/v1/memory/{id}``; empty for a path that no route has.
            status: Of the answer.
            seconds: From its first byte to the last of the answer.
        """
        route = self._route(route)
        self._metrics.http_requests(route, self._method(method), status_class(status)).inc()
        self._metrics.http_seconds(route).observe(seconds)

    def upstream(self, *, status: str, seconds: float, first_byte: float | None) -> None:
        """The upstream answered a chat, or did not.

        Args:
            status: The HTTP status, or ``timeout``, ``unreachable``, ``disconnected``, ``cancelled``.
            seconds: From sending the request to the last byte.
            first_byte: From sending the request to the first byte of the body; ``None`` where none came.
        """
        label = status_class(int(status)) if status.isdecimal() else self._upstream_status(status)
        self._metrics.upstream(label).inc()
        self._metrics.upstream_seconds().observe(seconds)
        if first_byte is not None:
            self._metrics.upstream_first_byte().observe(first_byte)
        visit = current_visit()
        if self._tracing is not None and visit is not None:
            self._tracing.upstream(visit.span, status=label, seconds=seconds, first_byte=first_byte)

    def trace_headers(self) -> tuple[tuple[str, str], ...]:
        """What the upstream call is to carry in place of the client's ``traceparent`` and ``tracestate``.

        Empty where requests are not traced; then the client's go on as they came.
        """
        visit = current_visit()
        if self._tracing is None or visit is None or visit.span is None:
            return ()
        return self._tracing.headers(visit.span)

    # -- the process

    def store(self, *, away: bool) -> None:
        """Somebody asked the store: it was away, or it answered. A change is an event of the timeline."""
        if away is self._store_away:
            return
        self._store_away = away
        self._metrics.store_away().set(away)
        self.timeline.note("store_away" if away else "store_back")

    def watch(self, memory: MemoryPlugin) -> None:
        """Samples a memory's gauges and counters from now on, until it is closed; call it in the event loop.

        Decisions of its configuration become labels, and the backend of what is reported from now on is its own.
        """
        self._tally.backend = memory.backend
        self._decision.extend(memory.decisions[:_MOST_DECISIONS])
        self._metrics.of_backend(memory.backend)
        self._sampler.watch(memory)
        self._sample()
        if self._sampling is None or self._sampling.done():
            self._sampling = asyncio.create_task(self._keep_sampling(), name="router-memory-telemetry")

    def exposition(self) -> tuple[bytes, str]:
        """The metrics of all workers in the text format of Prometheus, and its content type.

        It takes milliseconds for each worker and may be called on another thread; then what is sampled is up to
        `SAMPLE_SECONDS` old.
        """
        if threading.get_ident() == self._thread:
            self._sample()
        return self._registry.exposition()

    async def close(self) -> None:
        """Takes the last samples and exports the last spans. Idempotent."""
        sampling, self._sampling = self._sampling, None
        if sampling is not None:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
        self._sample()
        self._metrics.workers().set(0)
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            await tracing.close()

    async def _keep_sampling(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self._sample()

    def _sample(self) -> None:
        self._tally.settle()
        self._sampler.sample()

    def _decision_label(self, decision: str | None, known: bool) -> str:
        if decision is None:
            return "none"
        return self._decision(decision) if known else OTHER

    def _breaker_changed(self, is_open: bool) -> None:
        self.timeline.note("cache_breaker", state="open" if is_open else "closed")

    def _ended(self, visit: Visit, route: str, status: int) -> None:
        """See `Visit.end`."""
        seconds = visit.seconds
        self._metrics.in_flight().dec()
        self.http(method=visit.method, route=route, status=status, seconds=seconds)
        if visit.span is not None and self._tracing is not None:
            self._tracing.end(visit.span, method=visit.method, route=self._route(route), status=status)
        access_line(visit, route=self._route(route), status=status, seconds=seconds)
