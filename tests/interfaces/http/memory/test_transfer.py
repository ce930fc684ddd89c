"""Memories out of the service and into it, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Message

from router_memory import Scope
from router_memory.errors import BackendTimeout, BackendUnavailable
from router_memory.storage.portable import to_line
from tests.interfaces.http.conftest import Served, Serving, as_admin, as_user
from tests.interfaces.http.memory.test_collection import added, code_of, listed

ANA, BEN = as_user("ana"), as_user("ben")


async def exported(served: Served, headers: dict[str, str] = ANA, query: str = "") -> list[str]:
    answer = await served.client.get(f"/v1/memory/export{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return answer.text.splitlines()


async def imported(served: Served, body: bytes | str | AsyncIterator[bytes], headers: dict[str, str]) -> dict[str, Any]:
    answer = await served.client.post("/v1/memory/import", headers=headers, content=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def test_an_export_is_what_the_library_and_the_shell_write(served: Served) -> None:
    await added(served, "prefers aisle seats", "plays the trumpet", "works here")
    await added(served, "a fact about boats", headers=BEN)
    expected = [to_line(record) async for record in served.memory.export(Scope("ana"))]
    assert await exported(served) == expected
    assert len(expected) == 3


async def test_an_export_may_be_of_one_project_or_empty(served: Served) -> None:
    await added(served, "prefers aisle seats", project="work")
    await added(served, "plays the trumpet")
    assert len(await exported(served, query="?project=work")) == 1
    assert len(await exported(served, as_user("ana", x_project_id="work"))) == 1
    assert await exported(served, BEN) == []


async def test_all_users_are_for_an_admin(served: Served) -> None:
    await added(served, "prefers aisle seats")
    await added(served, "a fact about boats", headers=BEN)
    assert len(await exported(served, as_admin(), "?all=true")) == 2
    assert len(await exported(served, as_admin("ben"))) == 1
    assert (await served.client.get("/v1/memory/export?all=true", headers=ANA)).status_code in (401, 403)
    assert code_of(await served.client.get("/v1/memory/export", headers=as_admin())) == (401, "MISSING_USER_ID")
    for query in ("?all=maybe", "?all=true&project=work"):
        assert (await served.client.get(f"/v1/memory/export{query}", headers=as_admin())).status_code == 400


async def test_what_was_exported_comes_back_as_it_was(served: Served) -> None:
    await added(served, "prefers aisle seats", "plays the trumpet", importance=0.9)
    before = await exported(served)
    body = "\n".join(before)
    assert (await imported(served, body, ANA))["merged"] == 2
    await served.client.delete("/v1/memory", headers=ANA)
    result = await imported(served, body, ANA)
    assert result == {
        "lines": 2,
        "memories": 2,
        "stored": 2,
        "merged": 0,
        "refused": 0,
        "refusals": [],
        "unknown_fields": {},
    }
    assert await exported(served) == before


async def test_lines_are_taken_as_they_come(served: Served) -> None:
    """A body far larger than any piece of it, cut anywhere: what is stored does not depend on where."""
    record = await served.memory.add(Scope("ana"), "fact number 0")
    lines = [to_line(replace(record, id=f"{number:032x}", content=f"fact number {number}")) for number in range(1, 300)]
    body = "\r\n\n".join(lines).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 97):
            yield body[start : start + 97]

    assert (await imported(served, pieces(), ANA))["stored"] == 299
    assert await served.memory.count(Scope("ana")) == 300


async def test_a_user_imports_own_memories_alone(served: Served) -> None:
    await added(served, "a fact about boats", headers=BEN)
    await added(served, "prefers aisle seats")
    body = "\n".join(await exported(served, as_admin(), "?all=true"))
    await served.client.delete("/v1/memory", headers=ANA)
    await served.client.delete("/v1/memory", headers=BEN)
    result = await imported(served, body, ANA)
    assert (result["stored"], result["refused"]) == (1, 1)
    assert "another user" in result["refusals"][0]["reason"]
    assert (await listed(served), await listed(served, headers=BEN)) == (["prefers aisle seats"], [])
    assert (await imported(served, body, as_admin()))["stored"] == 1
    assert await listed(served, headers=BEN) == ["a fact about boats"]


async def test_a_project_header_admits_lines_of_that_project_alone(served: Served) -> None:
    await added(served, "prefers aisle seats", project="work")
    await added(served, "plays the trumpet")
    result = await imported(served, "\n".join(await exported(served)), as_user("ana", x_project_id="work"))
    assert (result["merged"], result["refused"]) == (1, 1)


async def test_lines_that_are_no_memories_are_told_and_the_others_stored(serving: Serving) -> None:
    async with serving(write={"max_content_bytes": 256}) as served:
        good = to_line(await served.memory.add(Scope("ana"), "prefers aisle seats"))
        long = json.dumps({**json.loads(good), "id": "b" * 32, "content": "x" * 257})
        odd = json.dumps({**json.loads(good), "id": "c" * 32, "tags": ["x"]})
        body = b"\n".join([b"nonsense", b"", long.encode(), b"\xff", odd.encode(), b"[" * 5000, good.encode()])
        result = await imported(served, body, ANA)
        assert [refusal["line"] for refusal in result["refusals"]] == [1, 3, 4, 6]
        assert (result["lines"], result["memories"], result["stored"], result["merged"]) == (6, 2, 1, 1)
        assert result["unknown_fields"] == {"tags": 1}


async def test_an_import_without_lines_imports_nothing(served: Served) -> None:
    for body in (b"", b"\n\n", b"  \n"):
        assert (await imported(served, body, ANA))["lines"] == 0


@pytest.mark.parametrize(("error", "status"), [(BackendTimeout, 504), (BackendUnavailable, 503)])
async def test_an_import_that_stops_says_how_far_it_came(
    served: Served, monkeypatch: pytest.MonkeyPatch, error: type[BackendUnavailable], status: int
) -> None:
    record = await served.memory.add(Scope("ana"), "fact number 0")
    body = "\n".join(to_line(replace(record, id=f"{number:032x}", content=f"fact {number}")) for number in range(100))
    restore, batches = served.memory.restore, 0

    async def failing(records: Any) -> Any:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise error("gone", backend="embedded", operation="add")
        return await restore(records)

    monkeypatch.setattr(served.memory, "restore", failing)
    answer = await served.client.post("/v1/memory/import", headers=ANA, content=body)
    assert answer.status_code == status
    assert "64 stored" in answer.json()["error"]["message"]


async def test_a_client_that_leaves_in_the_middle_keeps_what_was_stored(served: Served) -> None:
    record = await served.memory.add(Scope("ana"), "fact number 0")
    body = "\n".join(to_line(replace(record, id=f"{number:032x}", content=f"fact {number}")) for number in range(70))
    coming: list[Message] = [
        {"type": "http.request", "body": body.encode(), "more_body": True},
        {"type": "http.disconnect"},
    ]
    await called(served, "POST", "/v1/memory/import", coming, [])
    assert await served.memory.count(Scope("ana")) == 65
    assert served.service.generation.users == 0


async def test_an_export_holds_its_configuration_until_the_last_byte(served: Served) -> None:
    """A reload in the middle of a long answer must not close the store under it."""
    await added(served, "prefers aisle seats")
    generation = served.service.generation
    held: list[int] = []
    await called(served, "GET", "/v1/memory/export", [{"type": "http.request"}], held)
    assert set(held[:-1]) == {1}
    assert generation.users == 0


async def test_an_export_whose_reader_leaves_lets_its_configuration_go(served: Served) -> None:
    await added(served, "prefers aisle seats")
    await called(served, "GET", "/v1/memory/export", [{"type": "http.request"}, {"type": "http.disconnect"}], [])
    assert served.service.generation.users == 0


async def called(served: Served, method: str, path: str, coming: list[Message], held: list[int]) -> None:
    """Calls the application as a server does; notes at each message it sends how many leases are out."""
    waiting = iter(coming)

    async def receive() -> Message:
        message = next(waiting, None)
        if message is None:
            await asyncio.Event().wait()
        return message or {}

    async def send(_message: Message) -> None:
        held.append(served.service.generation.users)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"x-authz-user-id", b"ana")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await served.app(scope, receive, send)
