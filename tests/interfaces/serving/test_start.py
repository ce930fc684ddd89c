"""The start of the service, and starts that come to nothing."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx

from router_memory.serving.listening import bind

if TYPE_CHECKING:
    from tests.interfaces.serving.conftest import Start
    from tests.interfaces.serving.running import Running


def test_it_says_where_and_what_it_serves(shared: Running) -> None:
    lines = shared.out.splitlines()
    assert lines[0].startswith("listening on http://127.0.0.1:")
    assert "2 workers to open the store and load the model" in lines[0]
    assert lines[1].startswith(
        f"serving {shared.url} · 2 workers · backend embedded · identity by header · upstream none"
    )
    assert "decisions: wide" in lines[1]


def test_a_wrong_configuration_is_one_line_and_code_2(start: Start) -> None:
    running = start(text="global: {stores: {memory: {enabled: maybe}}}")
    assert running.ended() == 2
    assert running.err.count("\n") == 1
    assert "global.stores.memory.enabled" in running.err
    assert running.out == ""


def test_a_port_in_use_is_one_line_and_code_1(start: Start) -> None:
    (listener,) = bind("127.0.0.1", 0)
    with listener:
        running = start("--port", str(listener.getsockname()[1]))
        assert running.ended() == 1
    assert running.err.count("\n") == 1
    assert "another process listens there" in running.err


def test_a_model_that_is_not_there_ends_the_start(start: Start) -> None:
    """Starting the worker again would not help. The real worker, for the double has no model to miss."""
    running = start(
        "--workers", "2", embedding_model="/no/such/model", environment={"TEST_WORKER": "router_memory.serving.worker"}
    )
    assert running.ended() == 1
    (line,) = (line for line in running.err.splitlines() if line.startswith("router-memory: error: "))
    assert "/no/such/model does not exist" in line


def test_a_worker_that_dies_without_a_word_ends_the_start(start: Start) -> None:
    running = start(environment={"TEST_WORKER": "no.such.module"})
    assert running.ended() == 1
    assert "a worker ended at its start: exit code 1" in running.err


def test_a_store_that_is_away_is_no_hindrance(start: Start) -> None:
    """Requests go through without memory, and the probe says so."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        valkey = {"host": "127.0.0.1", "port": unused.getsockname()[1], "timeout": 1}
        running = start(backend="valkey", valkey=valkey).ready()
        probe = httpx.get(f"{running.url}/readyz", timeout=30)
        assert probe.status_code == 503
        assert {"name": "store", "ok": False} in probe.json()["checks"]
        assert httpx.get(f"{running.url}/readyz?for=chats").status_code == 200
        assert httpx.get(f"{running.url}/livez").status_code == 200
        asked = httpx.get(f"{running.url}/v1/memory", headers={"x-authz-user-id": "u"}, timeout=30)
        assert asked.status_code in (503, 504)
