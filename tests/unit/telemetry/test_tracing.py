"""Spans, as OpenTelemetry's own exporter for tests finds them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from router_memory.plugin.describe import describe
from router_memory.telemetry import Telemetry, Tracing
from router_memory.types import Reason, Scope, Status
from tests.unit.conftest import Opener
from tests.unit.telemetry.reading import outcome_of

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(exporter: InMemorySpanExporter) -> Telemetry:
    return Telemetry(tracing=Tracing(SimpleSpanProcessor(exporter)))


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def attributes_of(span: ReadableSpan) -> Mapping[str, object]:
    return span.attributes or {}


def times_of(span: ReadableSpan) -> tuple[int, int]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def test_a_request_is_a_child_of_what_its_traceparent_names(
    telemetry: Telemetry, exporter: InMemorySpanExporter
) -> None:
    visit = telemetry.begin(method="POST", headers=[(b"TraceParent", TRACEPARENT.encode())])
    visit.end(route="/v1/chat/completions", status=200)

    (span,) = exporter.get_finished_spans()

    assert span.name == "POST /v1/chat/completions"
    assert span.kind is SpanKind.SERVER
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert attributes_of(span) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/chat/completions",
    }


@pytest.mark.parametrize("given", [b"", b"nonsense", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"\xff" * 600])
def test_a_traceparent_that_is_none_begins_a_new_trace(
    telemetry: Telemetry, exporter: InMemorySpanExporter, given: bytes
) -> None:
    telemetry.begin(method="GET", headers=[(b"traceparent", given)]).end(route="/livez", status=200)

    assert exporter.get_finished_spans()[0].parent is None


def test_the_upstream_is_given_the_request_as_its_parent(telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    carried = [(b"traceparent", TRACEPARENT.encode()), (b"tracestate", b"vendor=1")]
    visit = telemetry.begin(method="POST", headers=carried)
    given = dict(telemetry.trace_headers())
    visit.end(route="/v1/chat/completions", status=200)

    (span,) = exporter.get_finished_spans()

    assert given == {"traceparent": f"00-{TRACE}-{span.context.span_id:016x}-01", "tracestate": "vendor=1"}


def test_without_tracing_the_clients_headers_are_left_as_they_are() -> None:
    telemetry = Telemetry()
    telemetry.begin(method="POST", headers=[(b"traceparent", TRACEPARENT.encode())])

    assert telemetry.trace_headers() == ()


async def test_each_stage_is_a_span_where_and_when_it_ran(
    telemetry: Telemetry, exporter: InMemorySpanExporter, opened: Opener
) -> None:
    messages = [{"role": "user", "content": "When did Joanna plant the apple tree?"}]
    async with opened() as memory:
        outcome = await memory.on_request(decision="wide", user_id="alice", messages=messages)
        await memory.on_response(outcome, "Joanna planted the apple tree in March, behind the house.")
        await memory.drain()
        visit = telemetry.begin(method="POST")
        outcome = await memory.on_request(decision="wide", user_id="alice", messages=messages)
        telemetry.request(outcome, interface="chat")
        visit.end(route="/v1/chat/completions", status=200)

    spans = by_name(exporter)
    request, part = spans["POST /v1/chat/completions"], spans["memory"]
    assert part.parent == request.context
    stages = {name: span for name, span in spans.items() if name.startswith("memory.")}
    expected = [f"memory.{stage}" for stage in outcome.explain.seconds if stage != "total"]
    assert [name for name, _ in sorted(stages.items(), key=lambda item: times_of(item[1]))] == expected
    assert {"memory.statistics", "memory.embed", "memory.candidates", "memory.rank", "memory.inject"} <= set(stages)
    (began, ended), last = times_of(part), 0
    slack = 2_000  # nanoseconds: times are rounded
    for name in expected:
        start, end = times_of(stages[name])
        assert stages[name].parent == part.context
        assert max(last, began) - slack <= start <= end <= ended + slack
        assert end - start == pytest.approx(outcome.explain.seconds[name.removeprefix("memory.")] * 1e9, abs=slack)
        last = end
    assert times_of(request)[0] <= began + slack


async def test_one_who_waits_for_the_answer_to_an_equal_question_spans_its_stages(
    telemetry: Telemetry, exporter: InMemorySpanExporter, opened: Opener
) -> None:
    messages = [{"role": "user", "content": "Which tree did we plant?"}]
    async with opened(redis_cache={"enabled": True}) as memory:
        await memory.add(Scope("alice"), "We planted an apple tree behind the house.")
        first, second = await asyncio.gather(
            *(memory.on_request(decision="wide", user_id="alice", messages=messages) for _ in range(2))
        )
        for outcome in (first, second):
            telemetry.request(outcome, interface="chat")

    parts = [span for span in exporter.get_finished_spans() if span.name == "memory"]
    waited, worked = second.explain, first.explain
    ends = [
        explain.starts[stage] + explain.seconds[stage] for explain, stage in ((waited, "joined"), (worked, "embed"))
    ]
    assert waited.starts["joined"] <= worked.starts["embed"]
    assert ends[0] >= ends[1]
    assert {"memory.joined", "memory.embed"} <= set(by_name(exporter))
    assert sorted(str(attributes_of(span)["memory.cache"]) for span in parts) == ["joined", "miss"]
    assert all(span.parent is None for span in parts)


def test_the_part_of_memory_says_what_came_of_it(telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    telemetry.request(outcome_of(Status.UNAVAILABLE, Reason.TIMEOUT, user="alice"), interface="chat")

    span = by_name(exporter)["memory"]

    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span) == {
        "memory.interface": "chat",
        "memory.decision": "support",
        "memory.status": "unavailable",
        "memory.reason": "timeout",
        "memory.count": 0,
        "memory.injected_tokens": 0,
        "memory.candidates": 0,
        "memory.cache": "off",
    }


def test_no_span_holds_a_user_a_text_or_a_path(telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    visit = telemetry.begin(method="GET", headers=[(b"x-authz-user-id", b"alice")])
    telemetry.request(outcome_of(user="alice", decision="secret", known=False), interface="chat")
    visit.end(route="/v1/memory/secret", status=404)

    shown = "".join(span.to_json() for span in exporter.get_finished_spans())

    assert "alice" not in shown
    assert "secret" not in shown


def test_the_call_of_the_upstream_is_a_span_with_its_first_byte(
    telemetry: Telemetry, exporter: InMemorySpanExporter
) -> None:
    visit = telemetry.begin(method="POST")
    telemetry.upstream(status="200", seconds=2.0, first_byte=0.5)
    visit.end(route="/v1/chat/completions", status=200)

    span = by_name(exporter)["upstream"]
    start, end = times_of(span)

    assert span.parent == by_name(exporter)["POST /v1/chat/completions"].context
    assert end - start == pytest.approx(2e9, abs=2_000)
    assert span.events[0].timestamp - start == pytest.approx(0.5e9, abs=2_000)


def test_a_parent_that_is_not_sampled_is_not_recorded(telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    visit = telemetry.begin(method="POST", headers=[(b"traceparent", TRACEPARENT[:-2].encode() + b"00")])
    telemetry.request(outcome_of(), interface="chat")
    given = dict(telemetry.trace_headers())
    visit.end(route="/v1/chat/completions", status=200)

    assert exporter.get_finished_spans() == ()
    assert given["traceparent"].endswith("-00")


async def test_closing_exports_what_is_left_and_later_calls_do_no_harm(
    telemetry: Telemetry, exporter: InMemorySpanExporter
) -> None:
    visit = telemetry.begin(method="GET")
    await telemetry.close()
    await telemetry.close()
    visit.end(route="/livez", status=200)
    telemetry.request(outcome_of(), interface="chat")

    assert telemetry.trace_headers() == ()


def test_opentelemetry_is_loaded_where_tracing_is_on_only() -> None:
    script = (
        "import sys; from router_memory.telemetry import Telemetry; Telemetry(); "
        "print('opentelemetry' in sys.modules); Telemetry(tracing=True); print('opentelemetry' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]


async def test_spans_go_where_the_standard_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """By OTLP over HTTP, the last of them when the service closes."""
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        telemetry = Telemetry(tracing=True)
        telemetry.begin(method="GET").end(route="/livez", status=200)
        await telemetry.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"GET /livez" in body
    assert b"router-memory" in body


async def test_what_an_outcome_tells_others_has_no_clock_of_this_process(opened: Opener) -> None:
    async with opened() as memory:
        await memory.add(Scope("alice"), "We planted an apple tree behind the house.")
        messages = [{"role": "user", "content": "Which tree did we plant?"}]
        outcome = await memory.on_request(decision="wide", user_id="alice", messages=messages)

    told = describe(outcome.explain)

    assert set(outcome.explain.starts) == set(outcome.explain.seconds)
    assert "starts" not in told
    assert "starts" not in told["recollection"]
