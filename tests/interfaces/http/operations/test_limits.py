"""The limits of requests, through the whole application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from router_memory.interfaces.http.limits.limited import Limited
from tests.interfaces.http.conftest import as_user

if TYPE_CHECKING:
    from tests.interfaces.http.conftest import Served, Serving

MIB = 1024 * 1024
SEARCH = {"query": "where do I sit on planes?"}


def limited(served: Served) -> Limited:
    assert isinstance(served.app, Limited)
    return served.app


async def running(served: Served, count: int) -> None:
    """Waits until so many requests are let in."""
    while limited(served).running < count:  # noqa: ASYNC110 - it has no event for that
        await asyncio.sleep(0)


async def search(served: Served, user: str) -> int:
    return (await served.client.post("/v1/memory/search", headers=as_user(user), json=SEARCH)).status_code


@pytest.mark.parametrize(
    "path", ["/v1/memory", "/v1/plugin/request", "/v1/chat/completions", "/v1/config/reload", "/no"]
)
async def test_a_body_that_says_it_is_too_large_is_refused_by_every_route(serving: Serving, path: str) -> None:
    async with serving(service={"limits": {"body_mb": 1}}) as served:
        reply = await served.client.post(path, headers=as_user("ana"), content=b" " * (MIB + 1))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("path", ["/v1/memory", "/v1/plugin/request"])
async def test_so_is_one_that_says_nothing(serving: Serving, path: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * (MIB // 16)

    headers = as_user("ana") | {"content-type": "application/json"}
    async with serving(service={"limits": {"body_mb": 1}}) as served:
        reply = await served.client.post(path, headers=headers, content=parts())
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("announced", [True, False])
async def test_an_import_is_taken_however_long_it_is(serving: Serving, announced: bool) -> None:
    """It comes line by line, and no more than a line is kept."""
    blank = b" " * (MIB // 16) + b"\n"

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield blank

    async with serving(service={"limits": {"body_mb": 1}}) as served:
        content = blank * 20 if announced else parts()
        reply = await served.client.post("/v1/memory/import", headers=as_user("ana"), content=content)
    assert reply.status_code == 200


async def test_a_user_has_so_many_requests_at_a_time(serving: Serving) -> None:
    async with serving(service={"limits": {"per_user_concurrency": 2}}) as served:
        served.embedder.gate.clear()
        waiting = [asyncio.create_task(search(served, "ana")) for _ in range(2)]
        await running(served, 2)
        refused = await served.client.post("/v1/memory/search", headers=as_user("ana"), json=SEARCH)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TOO_MANY_REQUESTS")
        assert refused.headers["retry-after"] == "1"
        bea = asyncio.create_task(search(served, "bea"))
        served.embedder.gate.set()
        assert await asyncio.gather(*waiting, bea) == [200, 200, 200]
        assert await search(served, "ana") == 200


async def test_the_service_has_so_many_at_a_time_and_answers_probes_beside(serving: Serving) -> None:
    async with serving(service={"limits": {"concurrency": 2}}) as served:
        served.embedder.gate.clear()
        waiting = [asyncio.create_task(search(served, user)) for user in ("ana", "bea")]
        await running(served, 2)
        refused = await served.client.post("/v1/memory/search", headers=as_user("cyd"), json=SEARCH)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "OVERLOADED")
        assert refused.headers["retry-after"] == "1"
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await served.client.get(path)).status_code == 200
        served.embedder.gate.set()
        assert await asyncio.gather(*waiting) == [200, 200]


async def test_a_user_may_ask_so_often(serving: Serving) -> None:
    limits = {"requests_per_second": 0.001, "burst": 2}
    async with serving(service={"limits": limits}) as served:
        assert [await search(served, "ana") for _ in range(3)] == [200, 200, 429]
        assert await search(served, "bea") == 200
        refused = await served.client.post("/v1/memory/search", headers=as_user("ana"), json=SEARCH)
        assert int(refused.headers["retry-after"]) > 900


async def test_every_response_has_an_id(served: Served) -> None:
    ids = set()
    for path in ("/livez", "/v1/memory", "/no/such/path", "/v1/state"):
        reply = await served.client.get(path)
        ids.add(reply.headers["x-request-id"])
    assert len(ids) == 4


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("a b", False), ("x" * 200, False)])
async def test_the_id_of_the_client_is_kept_where_it_is_sane(served: Served, given: str, kept: bool) -> None:
    reply = await served.client.get("/livez", headers={"x-request-id": given})
    assert (reply.headers["x-request-id"] == given) is kept


async def test_nothing_is_left_behind(served: Served) -> None:
    for user in ("ana", "bea"):
        await search(served, user)
    application = limited(served)
    assert (application.running, len(application._seats)) == (0, 0)
