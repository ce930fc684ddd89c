"""What somebody who means harm sends: nobody else waits for it, and it opens nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router_memory import Scope
from router_memory.interfaces.http.app import create_app
from router_memory.interfaces.mcp import mcp_app
from tests.interfaces.http.conftest import Served, Serving, as_user
from tests.unit.identity import support

JSON = {"content-type": "application/json"}
BROAD = b"[" + b"[]," * 60_000 + b"[]]"
"""Small, but a few hundred times of it would fit into the body that is allowed, and keep a worker for a minute."""


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/memory", b'{"content": "a fact", "more": %b}'),
        ("POST", "/v1/memory:batch", b'{"memories": %b}'),
        ("PATCH", "/v1/memory/x", b'{"content": "a fact", "more": %b}'),
        ("POST", "/v1/memory/search", b'{"query": "a fact", "types": %b}'),
        ("POST", "/v1/plugin/request", b'{"messages": %b}'),
        ("POST", "/v1/plugin/response", b'{"ticket": "x", "messages": %b}'),
    ],
)
async def test_a_body_of_too_many_values_is_refused_before_it_is_read(
    served: Served, method: str, path: str, body: bytes
) -> None:
    answer = await served.client.request(method, path, headers=as_user("ben") | JSON, content=body % BROAD)
    assert answer.status_code == 400
    assert "too many values" in answer.json()["error"]["message"]


async def test_an_imported_line_of_too_many_fields_is_refused_and_the_next_one_read(served: Served) -> None:
    answer = await served.client.post("/v1/memory/import", headers=as_user("ben"), content=BROAD + b"\n{}")
    told = answer.json()
    assert (told["lines"], told["refused"]) == (2, 2)
    assert told["refusals"][0] == {"line": 1, "reason": "has too many fields, or is not UTF-8"}


async def test_a_message_with_much_code_in_it_is_not_too_much(served: Served) -> None:
    messages = [{"role": "user", "content": "f(a, [b, {c}]) " * 20_000}]
    answer = await served.client.post("/v1/plugin/request", headers=as_user("ben"), json={"messages": messages})
    assert answer.status_code == 200


async def test_a_body_that_breaks_off_is_no_error_of_the_service(served: Served) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"content":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-authz-user-id", b"ben"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/memory", "query_string": b"", "headers": headers}
    await served.app(scope, receive, send)
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("path", ["/v1/memory", "/v1/memory/x", "/v1/memory/export", "/v1/chat/completions", "/mcp"])
@pytest.mark.parametrize("asked", ["GET", "POST", "DELETE"])
async def test_a_browser_that_asks_for_a_page_from_elsewhere_is_not_answered(
    served: Served, path: str, asked: str
) -> None:
    """Without that answer (CORS) the page cannot send the user header, nor read what comes back."""
    app = create_app(served.service, mounts={"/mcp": mcp_app(served.service)})
    question = {
        "origin": "http://evil.example",
        "access-control-request-method": asked,
        "access-control-request-headers": "x-authz-user-id",
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.options(path, headers=question)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("page", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
async def test_a_page_that_was_led_here_is_nobody(served: Served, page: dict[str, str]) -> None:
    for path in ("/v1/memory", "/v1/memory/export", "/v1/models"):
        answer = await served.client.get(path, headers=as_user("ana") | page)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "NOT_AUTHENTICATED")


async def test_a_blank_project_header_does_not_delete_the_memories_of_all_projects(served: Served) -> None:
    await served.memory.add(Scope("ana", "boathouse"), "the spare key is behind the clock")
    answer = await served.client.delete("/v1/memory", headers=as_user("ana", x_project_id=" "))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_PROJECT")
    assert await served.memory.count(Scope("ana")) == 1


async def test_a_key_that_was_taken_back_opens_nothing_though_the_request_began_before(
    serving: Serving, tmp_path: Path
) -> None:
    auth = {"modes": ["api_key"], "api_keys_file": support.key_file(tmp_path, {"key": "old", "users": ["ana"]})}
    async with serving(service={"auth": auth}) as served:

        async def slowly() -> AsyncIterator[bytes]:
            yield b'{"content": '
            support.key_file(tmp_path, {"key": "new", "users": ["ana"]})
            await served.service.prepare(served.service.config)
            await served.service.commit()
            yield b'"a fact"}'

        answer = await served.client.post("/v1/memory", headers={"x-api-key": "old", **JSON}, content=slowly())
        assert answer.status_code == 401
        assert await served.memory.count(Scope("ana")) == 0


async def test_users_at_the_same_time_never_see_each_other_nor_does_a_reload_mix_them_up(served: Served) -> None:
    """Writes among reads, with another configuration taking over in the middle."""
    users, rounds = ("ana", "ben", "cem"), 30

    async def one(user: str, number: int) -> str:
        if number % 2:
            body: dict[str, Any] = {"content": f"seat {number} of {user}", "project": user}
            answer = await served.client.post("/v1/memory", headers=as_user(user), json=body)
        elif number % 4:
            body = {"query": "which seat?", "threshold": 0, "limit": 100}
            answer = await served.client.post("/v1/memory/search", headers=as_user(user), json=body)
        else:
            answer = await served.client.get("/v1/memory?limit=100", headers=as_user(user))
        assert answer.status_code < 300
        return answer.text

    async def reload() -> str:
        await served.service.prepare(served.service.config)
        await served.service.commit()
        return ""

    work = [one(user, number) for number in range(rounds) for user in users]
    told = await asyncio.gather(*work[:45], reload(), *work[45:])
    told.remove("")
    for index, text in enumerate(told):
        assert not [other for other in users if other != users[index % 3] and f"of {other}" in text]
    for user in users:
        assert await served.memory.count(Scope(user)) == rounds // 2
