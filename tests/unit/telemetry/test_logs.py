"""What a log line holds, and above all what it does not."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from router_memory.errors import BackendUnavailable, InvalidRequest
from router_memory.telemetry import Telemetry, configure_logging
from tests.unit.telemetry.reading import injected

SECRET = "my password is swordfish"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging belongs to the process: everything is put back."""
    root, names = (
        logging.getLogger(),
        ("router_memory", "uvicorn", "uvicorn.error", "httpx", "router_memory.http.access"),
    )
    loggers = [root, *map(logging.getLogger, names)]
    before = [(logger, logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    shown, filters, raising = warnings.showwarning, list(warnings.filters), logging.raiseExceptions
    yield
    logging.captureWarnings(capture=False)
    warnings.showwarning, warnings.filters[:] = shown, filters  # type: ignore[index]  # it is a list
    logging.raiseExceptions = raising
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    configure_logging("json", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object_with_time_level_logger_and_message(lines: Lines) -> None:
    logging.getLogger("router_memory.writes").warning("closing with %d turns", 3)

    (line,) = lines()

    assert {name: line[name] for name in ("level", "logger", "message")} == {
        "level": "warning",
        "logger": "router_memory.writes",
        "message": "closing with 3 turns",
    }
    assert line["at"].endswith("+00:00")


def test_a_request_has_one_line_without_path_or_query(lines: Lines) -> None:
    telemetry = Telemetry()
    visit = telemetry.begin(method="POST", headers=[(b"x-request-id", b"req-12345")])
    telemetry.request(injected(), interface="chat")
    visit.end(route="/v1/chat/completions", status=200)

    (line,) = lines()

    assert line.pop("ms") >= 0
    line.pop("at")
    assert line == {
        "level": "info",
        "logger": "router_memory.http.access",
        "message": "request",
        "request_id": "req-12345",
        "method": "POST",
        "route": "/v1/chat/completions",
        "status": 200,
        "memory_status": "used",
        "memory_reason": "injected",
    }


def test_a_path_that_is_no_template_is_not_shown(lines: Lines) -> None:
    Telemetry().begin(method="SWORDFISH").end(route=f"/v1/memory/{SECRET}", status=404)

    (line,) = lines()

    assert (line["route"], line["method"]) == ("other", "other")


def test_no_access_line_where_none_are_wanted(stream: io.StringIO) -> None:
    configure_logging("json", access_log=False, stream=stream)

    Telemetry().begin(method="GET").end(route="/livez", status=200)

    assert stream.getvalue() == ""


def test_every_line_of_a_request_has_its_id(lines: Lines) -> None:
    visit = Telemetry().begin(method="GET", headers=[(b"X-Request-ID", b"req-12345")])
    logging.getLogger("router_memory.plugin").warning("within")
    visit.end(route="/livez", status=200)
    logging.getLogger("router_memory.plugin").warning("after")

    assert [line.get("request_id") for line in lines()] == ["req-12345", "req-12345", None]


@pytest.mark.parametrize(
    "given", [b"", b"abc", b"x" * 65, b"id with spaces", b'"},{"', b"line\nbreak", b"\xff\xfe\xfd\xfc"]
)
def test_an_id_that_is_not_sane_is_replaced(given: bytes) -> None:
    visit = Telemetry().begin(method="GET", headers=[(b"x-request-id", given)])

    assert visit.request_id.encode() != given
    assert len(visit.request_id) == 16


async def test_requests_at_the_same_time_keep_their_ids(lines: Lines) -> None:
    telemetry, both = Telemetry(), asyncio.Barrier(2)

    async def one(name: str) -> None:
        visit = telemetry.begin(method="GET", headers=[(b"x-request-id", name.encode())])
        await both.wait()
        logging.getLogger("router_memory.plugin").warning("of %s", name)
        visit.end(route="/livez", status=200)

    await asyncio.gather(one("first"), one("second"))

    said = [line for line in lines() if line["level"] == "warning"]
    assert {line["message"]: line["request_id"] for line in said} == {"of first": "first", "of second": "second"}


def test_an_exception_nobody_knows_shows_its_type_and_place_only(lines: Lines, stream: io.StringIO) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("router_memory.plugin").exception("memory failed for a request")

    (line,) = lines()

    assert SECRET not in stream.getvalue()
    assert line["error"][0]["type"] == "builtins.ValueError"
    assert "test_an_exception_nobody_knows" in line["error"][0]["at"][-1]


def test_an_error_of_ours_shows_its_message_and_what_caused_it_does_not(lines: Lines, stream: io.StringIO) -> None:
    try:
        try:
            raise OSError(SECRET)
        except OSError as error:
            raise BackendUnavailable("no answer", backend="valkey", operation="get") from error
    except BackendUnavailable:
        logging.getLogger("router_memory.http").exception("a request failed")

    (line,) = lines()

    assert [error.get("message") for error in line["error"]] == ["valkey get: no answer", None]
    assert SECRET not in stream.getvalue()


def test_an_error_that_quotes_an_argument_shows_no_message(lines: Lines, stream: io.StringIO) -> None:
    logging.getLogger("router_memory.http").error("refused", exc_info=InvalidRequest(f"unknown type {SECRET!r}"))

    assert lines()[0]["error"][0]["type"] == "router_memory.errors.InvalidRequest"
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_libraries_do_not_say_what_they_were_given(stream: io.StringIO, log_format: str) -> None:
    configure_logging(log_format, stream=stream)
    logging.getLogger("somelibrary").warning("cannot parse %s", SECRET)
    logging.getLogger("somelibrary").warning(f"cannot parse {SECRET}")  # noqa: G004 - as libraries do
    logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: {SECRET}")  # noqa: G004
    logging.getLogger("httpx").warning("HTTP Request: %s", SECRET)
    logging.getLogger("somelibrary").warning("%s", "x", extra={"fields": {"a": SECRET}, "request_id": SECRET})

    written = stream.getvalue()

    assert SECRET not in written
    assert "cannot parse %s" in written
    assert "Task exception was never retrieved" in written
    assert len(written.splitlines()) == 4


def test_warnings_show_where_and_of_what_kind(lines: Lines, stream: io.StringIO) -> None:
    warnings.warn(SECRET, UserWarning, stacklevel=1)

    assert lines()[0]["message"].endswith("UserWarning")
    assert SECRET not in stream.getvalue()


def test_the_server_says_where_it_listens(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").info("Uvicorn running on %s", "http://127.0.0.1:8080")

    assert lines()[0]["message"] == "Uvicorn running on http://127.0.0.1:8080"


def test_text_is_one_line_whatever_is_in_it(stream: io.StringIO) -> None:
    configure_logging("text", stream=stream)
    logging.getLogger("router_memory.http").warning("first\nsecond\x1b[31m")

    assert stream.getvalue().count("\n") == 1
    assert "first\\nsecond\\x1b[31m" in stream.getvalue()


def test_text_says_the_same(stream: io.StringIO) -> None:
    configure_logging("text", stream=stream)
    visit = Telemetry().begin(method="GET", headers=[(b"x-request-id", b"req-12345")])
    visit.end(route="/livez", status=200)

    line = stream.getvalue()
    assert "info    router_memory.http.access: request request_id=req-12345 method=GET route=/livez status=200" in line


def test_what_cannot_be_json_costs_no_line(lines: Lines) -> None:
    logging.getLogger("router_memory.http").warning("odd", extra={"fields": {"thing": object()}})

    assert lines()[0]["thing"] == "object"
