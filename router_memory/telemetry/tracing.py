"""Spans by OpenTelemetry: one for each request, one for memory's part in it, and one for each stage of that.

Memory says afterwards when its stages began and how long they took, so spans are made when a request is answered and
cost nothing where it is not sampled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from router_memory import __version__
from router_memory.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

    from router_memory.types import Explain, Outcome

__all__ = ["Tracing"]

_CARRIED = (b"traceparent", b"tracestate")
_NANO = 1_000_000_000


class Tracing:
    """Makes spans and exports them.

    Sampling, resource and exporter are those of the standard variables: ``OTEL_TRACES_SAMPLER``,
    ``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_EXPORTER_OTLP_ENDPOINT`` and its kin.

    Args:
        processor: What takes the finished spans; ``None`` exports them by OTLP over HTTP in the background.

    Raises:
        MissingExtra: OpenTelemetry is not installed.
    """

    def __init__(self, processor: SpanProcessor | None = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            if processor is None:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
                from opentelemetry.sdk.trace.export import BatchSpanProcessor

                processor = BatchSpanProcessor(OTLPSpanExporter())
        except ImportError:
            raise MissingExtra("tracing", extra="otel") from None
        self._api = trace
        resource = Resource.create().merge(Resource({"service.version": __version__}))
        if str(resource.attributes.get("service.name", "unknown_service")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "router-memory"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("router_memory", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Span:
        """The span of a request that comes now, a child of what its ``traceparent`` names, if anything."""
        carrier = {
            name.lower().decode("ascii"): value.decode("latin-1") for name, value in headers if name.lower() in _CARRIED
        }
        parent = self._propagator.extract(carrier)
        return self._tracer.start_span(
            method, parent, kind=self._api.SpanKind.SERVER, attributes={"http.request.method": method}
        )

    def end(self, span: Span, *, method: str, route: str, status: int) -> None:
        """Ends the span of a request."""
        if span.is_recording():
            span.update_name(f"{method} {route}" if route else method)
            span.set_attribute("http.response.status_code", status)
            if route:
                span.set_attribute("http.route", route)
            if status >= 500:
                span.set_status(self._api.StatusCode.ERROR)
        span.end()

    def headers(self, span: Span) -> tuple[tuple[str, str], ...]:
        """What a call made for that request carries, so that its spans are children of this one."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._api.set_span_in_context(span))
        return tuple(carrier.items())

    def memory(self, outcome: Outcome, parent: Span | None, *, decision: str, interface: str) -> None:
        """The spans of what memory did for a request and has just finished."""
        if parent is not None and not parent.is_recording():
            return
        explain, clock = outcome.explain, _Clock()
        began, took = explain.starts.get("total"), explain.seconds.get("total", 0.0)
        start = clock.now - took if began is None else began
        found = explain.recollection
        span = self._start("memory", parent, clock.at(start))
        span.set_attributes(
            {
                "memory.interface": interface,
                "memory.decision": decision,
                "memory.status": outcome.status.value,
                "memory.reason": outcome.reason.value,
                "memory.count": len(outcome.memories),
                "memory.injected_tokens": explain.injected_tokens,
                "memory.candidates": 0 if found is None else found.candidates,
                "memory.cache": "off" if found is None else found.cache.value,
            }
        )
        if outcome.status == "unavailable":
            span.set_status(self._api.StatusCode.ERROR, outcome.reason.value)
        if span.is_recording():
            self._stages(explain, span, clock)
        span.end(clock.at(start + took))

    def upstream(self, parent: Span | None, *, status: str, seconds: float, first_byte: float | None) -> None:
        """The span of a call of the upstream that has just ended."""
        if parent is None or not parent.is_recording():
            return
        clock = _Clock()
        start = clock.now - seconds
        span = self._start("upstream", parent, clock.at(start))
        span.set_attribute("upstream.status", status)
        if first_byte is not None:
            span.add_event("first byte", timestamp=clock.at(start + first_byte))
        span.end(clock.at(clock.now))

    async def close(self) -> None:
        """Exports what is left; waits for the exporter on a thread."""
        await asyncio.to_thread(self._provider.shutdown)

    def _stages(self, explain: Explain, parent: Span, clock: _Clock) -> None:
        for stage, seconds in explain.seconds.items():
            start = explain.starts.get(stage)
            if stage == "total" or start is None:
                continue
            self._start(f"memory.{stage}", parent, clock.at(start)).end(clock.at(start + seconds))

    def _start(self, name: str, parent: Span | None, at: int) -> Span:
        context = None if parent is None else self._api.set_span_in_context(parent)
        return self._tracer.start_span(name, context, start_time=at)


class _Clock:
    """Turns the clock that stages are measured with into the time of day."""

    __slots__ = ("_day", "now")

    def __init__(self) -> None:
        self.now = time.perf_counter()
        self._day = time.time_ns()

    def at(self, moment: float) -> int:
        """Nanoseconds since 1970."""
        return self._day + int((moment - self.now) * _NANO)
