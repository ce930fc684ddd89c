"""`/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendUnavailable
from router_memory.memory import readiness
from tests.interfaces.http.conftest import as_admin

if TYPE_CHECKING:
    from tests.interfaces.http.conftest import Served


class Away:
    """A store that answers as it is told to."""

    name = "valkey"
    index_progress = 1.0

    def __init__(self, *, error: Exception | None = None, hangs: bool = False) -> None:
        self.error, self.hangs, self.asked = error, hangs, 0

    async def epoch(self, _scope: object) -> str:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return "e"

    async def close(self) -> None:
        """Nothing to release."""


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)


def put(served: Served, store: Away) -> None:
    served.memory._parts.store = store  # type: ignore[assignment]


def names(checks: list[dict[str, object]]) -> dict[object, object]:
    return {check["name"]: check["ok"] for check in checks}


async def test_a_service_that_is_well_is_ready(served: Served) -> None:
    reply = await served.client.get("/readyz")
    assert reply.status_code == 200
    assert reply.json()["ready"] is True
    assert names(reply.json()["checks"]) == {"model": True, "store": True, "index": True}


async def test_a_store_that_fails_is_named(served: Served) -> None:
    put(served, Away(error=BackendUnavailable("10.1.2.3:6379 is away", backend="valkey", operation="epoch")))
    reply = await served.client.get("/readyz")
    assert reply.status_code == 503
    assert names(reply.json()["checks"]) == {"model": True, "store": False}


async def test_where_the_store_is_operators_alone_are_told(served: Served) -> None:
    put(served, Away(error=BackendUnavailable("10.1.2.3:6379 is away", backend="valkey", operation="epoch")))
    assert "10.1.2.3" not in (await served.client.get("/readyz")).text
    assert "10.1.2.3" in (await served.client.get("/readyz", headers=as_admin())).text


async def test_a_wrong_credential_fails_no_probe(served: Served) -> None:
    reply = await served.client.get("/readyz", headers={"authorization": "Bearer wrong"})
    assert reply.status_code == 200


async def test_a_store_that_hangs_holds_no_probe_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router_memory.interfaces.http.operations.readiness.PROBE_SECONDS", 0.01)
    put(served, Away(hangs=True))
    reply = await served.client.get("/readyz")
    assert reply.status_code == 503


async def test_an_index_that_fills_is_not_ready(served: Served) -> None:
    store = Away()
    store.index_progress = 0.4
    put(served, store)
    reply = await served.client.get("/readyz", headers=as_admin())
    assert reply.status_code == 503
    (index,) = (check for check in reply.json()["checks"] if check["name"] == "index")
    assert "40%" in index["detail"]


async def test_chats_need_no_store(served: Served) -> None:
    put(served, Away(hangs=True))
    assert (await served.client.get("/readyz?for=chats")).status_code == 200


@pytest.mark.parametrize("path", ["/readyz", "/readyz?for=chats"])
async def test_a_service_that_drains_wants_no_requests(served: Served, path: str) -> None:
    served.service.draining = True
    reply = await served.client.get(path)
    assert (reply.status_code, reply.json()["draining"]) == (503, True)
    assert (await served.client.get("/livez")).status_code == 200


async def test_what_else_a_probe_may_be_for_is_refused(served: Served) -> None:
    assert (await served.client.get("/readyz?for=tea")).status_code == 400


async def test_probes_do_not_load_the_store(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, within a second it is asked once."""
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 60.0)
    store = Away()
    put(served, store)
    await asyncio.gather(*(served.client.get("/readyz") for _ in range(20)))
    await served.client.get("/readyz")
    assert store.asked == 1


async def test_the_coming_and_going_of_the_store_is_an_event(served: Served) -> None:
    good = served.memory._parts.store
    put(served, Away(error=BackendUnavailable("away", backend="valkey", operation="epoch")))
    await served.client.get("/readyz")
    await served.client.get("/readyz")
    served.memory._parts.store = good
    await served.client.get("/readyz")
    kinds = [event["kind"] for event in served.service.telemetry.timeline.recent(10)]
    assert kinds[:2] == ["store_back", "store_away"]


async def test_metrics_are_text(served: Served) -> None:
    await served.client.get("/livez")
    reply = await served.client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert 'llm_memory_http_requests_total{method="GET",route="/livez",status="2xx"} 1.0' in reply.text


async def test_metrics_are_put_together_once_for_all_who_ask_meanwhile(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit of requests holds for them, and each takes milliseconds for each worker."""
    telemetry, began, go, count = served.service.telemetry, threading.Event(), threading.Event(), 0
    exposition = telemetry.exposition

    def slowly() -> tuple[bytes, str]:
        nonlocal count
        count += 1
        began.set()
        go.wait(10)
        return exposition()

    monkeypatch.setattr(telemetry, "exposition", slowly)
    asked = [asyncio.create_task(served.client.get("/metrics")) for _ in range(20)]
    await asyncio.to_thread(began.wait, 10)
    for _ in range(100):
        await asyncio.sleep(0)  # until all of them have asked
    go.set()
    assert {reply.status_code for reply in await asyncio.gather(*asked)} == {200}
    assert count == 1
    assert (await served.client.get("/metrics")).status_code == 200
    assert count == 2
