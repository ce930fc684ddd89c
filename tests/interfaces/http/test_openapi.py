"""The description of the API: complete, true, and nothing that fits or breaks it makes the service fail."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import requests
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from router_memory import interfaces
from tests.interfaces.http.conftest import Served, Serving, as_admin, fastapi_of, routes_of

METHODS = {"get", "post", "patch", "put", "delete"}
OURS = ("/v1/memory", "/v1/plugin")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
NOT_READY = "/readyz"
"""May say 503 when all is well: a fresh store in a test has not been asked anything yet."""

schemathesis.serializer.alias("application/x-ndjson", "application/octet-stream")


def operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


@pytest.fixture
async def description(served: Served) -> dict[str, Any]:
    document: dict[str, Any] = (await served.client.get("/openapi.json")).json()
    return document


def test_every_route_of_the_apis_is_described(served: Served, description: dict[str, Any]) -> None:
    routes = {
        f"{method} {path.replace(':path}', '}')}" for method, path in routes_of(served.app) if path.startswith(OURS)
    }
    assert len(routes) == 12
    assert routes <= {name for name, _ in operations(description)}


def test_operations_say_what_they_do_and_have_names_of_their_own(description: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(description)]
    assert len(set(ids)) == len(ids)
    for name, operation in operations(description):
        if name.split()[1].startswith(OURS):
            assert operation["summary"], name
            assert operation["description"], name
            assert re.fullmatch("[a-z]+[A-Za-z]*", operation["operationId"]), name


def test_errors_and_credentials_are_described(description: dict[str, Any]) -> None:
    schemes = set(description["components"]["securitySchemes"])
    for name, operation in operations(description):
        if not name.split()[1].startswith(OURS):
            continue
        assert {scheme for each in operation["security"] for scheme in each} == schemes, name
        for status, answer in operation["responses"].items():
            if status[0] in "45d":
                assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody"), (name, status)
        assert {"401", "503", "504", "default"} <= set(operation["responses"]), name
        assert "422" not in operation["responses"], name


def test_bodies_have_examples_that_fit_them(description: dict[str, Any]) -> None:
    """Both what is sent and what comes back, but for the streams."""
    for name, operation in operations(description):
        if not name.split()[1].startswith(OURS):
            continue
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in contents:
            schema = content.get("application/json", {}).get("schema", {})
            if not schema:
                continue
            model = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            whole = {**model, "components": description["components"]}
            assert "example" in model, (name, schema)
            jsonschema_rs.validator_for(whole).validate(model["example"])


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name == "id" and value:
                self.anchors.add(value)


async def test_the_page_needs_nothing_from_elsewhere(served: Served) -> None:
    answer = await served.client.get("/docs")
    page = _Links()
    page.feed(answer.text)
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert set(page.links) == {"openapi.json", *(f"#{anchor}" for anchor in page.anchors)}
    assert len(page.anchors) >= 12
    assert (await served.client.get("/redoc")).status_code == 404


@pytest.fixture
def running(serving: Serving) -> Iterator[tuple[BlockingPortal, Served]]:
    """The application in an event loop of its own, for tests that wait for it from outside."""
    limits = {"concurrency": 1000, "per_user_concurrency": 1000}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(service={"limits": limits}, deadline_ms=60_000)) as served,
    ):
        yield portal, served


@pytest.mark.parametrize("fits", [True, False], ids=["what fits", "what does not"])
def test_no_request_makes_it_fail(running: tuple[BlockingPortal, Served], fits: bool) -> None:
    """And every answer is one that the description has."""
    explore(*running, fits=fits, examples=12)


@pytest.mark.full
@pytest.mark.parametrize("fits", [True, False], ids=["what fits", "what does not"])
def test_no_request_of_many_makes_it_fail(running: tuple[BlockingPortal, Served], fits: bool) -> None:
    explore(*running, fits=fits, examples=100)


def explore(portal: BlockingPortal, served: Served, *, fits: bool, examples: int) -> None:
    """Calls every operation with bodies, parameters and headers made from its description."""
    document = json.loads(json.dumps(fastapi_of(served.app).openapi()))
    schema = schemathesis.openapi.from_dict(document)
    mode = schemathesis.GenerationMode.POSITIVE if fits else schemathesis.GenerationMode.NEGATIVE
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if not (fits or operation.body or operation.query or operation.path_parameters):
            continue

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode), token=st.sampled_from([True, True, True, False]))
        def check(case: schemathesis.Case[Any], token: bool) -> None:
            answer = portal.call(sent, served, case, token)
            statuses[answer.status_code] += 1
            if case.path != NOT_READY:
                case.validate_response(answer, checks=CHECKS if case.path.startswith(OURS) else [not_a_server_error])

        check()
    expected = {200, 401, 400, 404} if fits else {401, 400}
    assert expected <= set(statuses), statuses
    assert statuses.total() >= len(document["paths"]) * examples / 3


async def sent(served: Served, case: schemathesis.Case[Any], token: bool) -> httpx.Response:
    """The answer to a case, by an operator who names a user, or by nobody."""
    made = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1")).prepare()
    names = {"authorization", "x-authz-user-id", "x-api-key", "content-length"}
    headers = [(name, value) for name, value in made.headers.items() if name.lower() not in names]
    if token:
        headers += as_admin("ana").items()
    raw = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "ignore"))
        for name, value in headers
    ]
    body = made.body.encode() if isinstance(made.body, str) else made.body
    assert body is None or isinstance(body, bytes)
    return await served.client.request(made.method or "GET", made.url or "", headers=raw, content=body)


def test_the_page_of_the_docs_has_every_route_and_code(description: dict[str, Any]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [name for name, _ in operations(description) if name.split()[1].startswith(OURS) and name not in text]
    sources = (Path(interfaces.__file__).parent / "http").rglob("*.py")
    ours = [file for file in sources if {"memory", "plugin"} & set(file.parts) or file.name == "api_route.py"]
    codes = {code for file in ours for code in re.findall(r'(?:[0-9], |: )"([A-Z]+_[A-Z_]+)"', file.read_text())}
    assert len(codes) > 10
    assert missing + sorted(code for code in codes - {"CLIENT_DISCONNECTED"} if f"`{code}`" not in text) == []
