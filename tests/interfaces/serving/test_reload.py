"""A new configuration while chats go on: all workers take it, or none."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.interfaces.serving.chats import Chats
from tests.interfaces.serving.running import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.interfaces.serving.conftest import Start
    from tests.interfaces.serving.running import Running
    from tests.interfaces.serving.upstream import Upstream


def change(running: Running, edit: Callable[[Any], None]) -> None:
    """Changes the memory section of the configuration file."""
    document = json.loads(running.file.read_text())
    edit(document["global"]["stores"]["memory"])
    running.file.write_text(json.dumps(document))


def generations(running: Running) -> set[int]:
    return {worker["generation"] for worker in running.state()["workers"]}


def limit_of(running: Running) -> int:
    found = httpx.get(f"{running.url}/v1/decisions", headers=ADMIN).json()
    return int(found["globals"]["recall"]["limit"])


async def test_under_load_no_chat_fails(start: Start, upstream: Upstream) -> None:
    running = start("--workers", "2", service={"upstream": {"url": upstream.url}}).ready()
    chats = Chats()
    clients = await chats.run(running.url, 8)
    for limit in (3, 4, 5):
        change(running, lambda memory, limit=limit: memory.update(default_retrieval_limit=limit))  # type: ignore[misc]
        answer = await asyncio.to_thread(running.reload)
        assert answer.status_code == 200
        assert answer.json()["changed"][0] == "global.stores.memory.default_retrieval_limit"
        assert answer.json()["workers"] == 2
    chats.stopping = True
    await asyncio.gather(*clients)
    assert chats.failed == []
    assert generations(running) == {4}
    assert limit_of(running) == 5


def test_a_bad_file_is_refused_and_the_old_one_stays(shared: Running) -> None:
    good, before = shared.file.read_text(), generations(shared)
    try:
        change(shared, lambda memory: memory.update(default_retrieval_limit="many"))
        refused = shared.reload()
        assert refused.status_code == 422
        assert refused.json()["error"]["code"] == "INVALID_CONFIGURATION"
        assert "default_retrieval_limit" in refused.json()["error"]["message"]
    finally:
        shared.file.write_text(good)
    assert generations(shared) == before


def test_what_cannot_be_opened_is_refused_by_all(shared: Running) -> None:
    """The file is valid, and the store it names cannot be made."""
    good, before = shared.file.read_text(), generations(shared)
    try:
        change(shared, lambda memory: memory.update(embedded={"path": "/proc/no/such/folder/memory.db"}))
        refused = shared.reload()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "RELOAD_FAILED")
    finally:
        shared.file.write_text(good)
    assert generations(shared) == before
    assert httpx.get(f"{shared.url}/readyz").status_code == 200


def test_it_says_what_needs_a_restart(shared: Running) -> None:
    good = shared.file.read_text()
    try:
        change(shared, lambda memory: memory["service"].update(host="127.0.0.3", drain_seconds=7))
        answer = shared.reload().json()
        assert answer["changed"] == [
            "global.stores.memory.service.drain_seconds",
            "global.stores.memory.service.host",
        ]
        assert answer["needs_restart"] == ["global.stores.memory.service.host"]
    finally:
        shared.file.write_text(good)
        shared.reload()


def test_sighup_does_the_same(shared: Running) -> None:
    (before,) = generations(shared)
    shared.signal(signal.SIGHUP)
    shared.until(lambda: generations(shared) == {before + 1})


def test_sighup_on_a_bad_file_is_a_line_in_the_log(shared: Running) -> None:
    good, before = shared.file.read_text(), shared.err.count("the old one stays")
    try:
        shared.file.write_text("global: [")
        shared.signal(signal.SIGHUP)
        shared.until(lambda: shared.err.count("the old one stays") > before)
    finally:
        shared.file.write_text(good)
    reply = httpx.get(f"{shared.url}/v1/events", headers=ADMIN, timeout=60)
    assert reply.status_code == 200, reply.text
    events = reply.json()["events"]
    assert "reload_refused" in {event["kind"] for event in events}


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"x-authz-user-id": "u"}, 401)])
def test_only_operators_may(shared: Running, headers: dict[str, str], status: int) -> None:
    assert httpx.post(f"{shared.url}/v1/config/reload", headers=headers).status_code == status
