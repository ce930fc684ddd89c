"""The APIs over a real Valkey with Search: what a store across a network may answer otherwise than the embedded one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests.interfaces.http.conftest import Serving, as_user
from tests.servers.stores import clear

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.process import Endpoint


@pytest.fixture
async def section(search_server: Endpoint) -> AsyncIterator[dict[str, Any]]:
    """A part of the shared server of this test's own, emptied in the end."""
    name = f"api-{secrets.token_hex(4)}"
    yield {
        "backend": "valkey",
        "valkey": {
            "host": search_server.host,
            "port": search_server.port,
            "dimension": 64,
            "collection_prefix": f"{name}:",
            "index_name": name,
        },
    }
    await clear([search_server.address], f"{name}:", name, cluster=False)


async def test_a_memory_lives_and_ends_by_the_api(serving: Serving, section: dict[str, Any]) -> None:
    async with serving(**section) as served:
        ask, ana = served.client, as_user("ana")
        body = {"content": "prefers an aisle seat on long flights"}
        made, again = [await ask.post("/v1/memory", json=body, headers=ana) for _ in range(2)]
        assert (made.status_code, again.status_code) == (201, 200)
        path = f"/v1/memory/{made.json()['id']}"
        read = await ask.get(path, headers=ana)
        assert read.json() == made.json()
        tag = read.headers["etag"]
        changed = await ask.patch(path, json={"content": "prefers a window seat"}, headers={**ana, "if-match": tag})
        late = await ask.patch(path, json={"importance": 0.9}, headers={**ana, "if-match": tag})
        assert (changed.status_code, late.status_code) == (200, 412)
        found = await ask.post("/v1/memory/search", json={"query": "window seat", "threshold": 0}, headers=ana)
        assert [hit["memory"]["content"] for hit in found.json()["results"]] == ["prefers a window seat"]
        assert (await ask.get(path, headers=as_user("ben"))).status_code == 404
        assert (await ask.delete(path, headers=ana)).status_code == 200
        assert (await ask.get("/v1/memory", headers=ana)).json()["total"] == 0


async def test_pages_export_and_import_hold_every_memory(serving: Serving, section: dict[str, Any]) -> None:
    async with serving(**section) as served:
        ask, ana = served.client, as_user("ana")
        batch = {"memories": [{"content": f"note {number} about tea"} for number in range(7)]}
        assert (await ask.post("/v1/memory:batch", json=batch, headers=ana)).status_code == 200
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query: dict[str, Any] = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            page = (await ask.get("/v1/memory", params=query, headers=ana)).json()
            seen += [memory["id"] for memory in page["memories"]]
            cursor = page["cursor"]
        assert len(seen) == len(set(seen)) == 7
        exported = (await ask.get("/v1/memory/export", headers=ana)).content
        assert (await ask.delete("/v1/memory", headers=ana)).status_code == 200
        lines = {**ana, "content-type": "application/x-ndjson"}
        told = (await ask.post("/v1/memory/import", content=exported, headers=lines)).json()
        assert (told["stored"], told["refused"]) == (7, 0)
        assert (await ask.get("/v1/memory/export", headers=ana)).content == exported


async def test_a_turn_told_by_the_plugin_api_is_found_by_the_next(serving: Serving, section: dict[str, Any]) -> None:
    async with serving(**section) as served:
        ask, ana = served.client, as_user("ana")
        first = {"decision": "wide", "messages": [{"role": "user", "content": "My cat is called Miso, remember that."}]}
        begun = (await ask.post("/v1/plugin/request", json=first, headers=ana)).json()
        ended = await ask.post(
            "/v1/plugin/response", json={"ticket": begun["ticket"], "reply": "I shall."}, headers=ana
        )
        assert ended.status_code == 202
        await served.memory.drain()
        then = {"decision": "wide", "messages": [{"role": "user", "content": "What is my cat called?"}]}
        answer = (await ask.post("/v1/plugin/request", json=then, headers=ana)).json()
        assert (answer["status"], answer["reason"]) == ("used", "injected")
        ready = (await ask.get("/readyz")).json()
        assert ready["ready"] is True
