"""`/v1/state`, `/v1/events`, `/v1/decisions` and loading the configuration anew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.errors import ConfigError, EmbeddingError
from router_memory.service import ReloadResult
from tests.interfaces.http.conftest import as_admin, as_user

if TYPE_CHECKING:
    from tests.interfaces.http.conftest import Served, Serving

PATHS = ["/v1/state", "/v1/events", "/v1/decisions"]


async def plugin_request(served: Served, user: str, text: str) -> None:
    body = {"decision": "wide", "messages": [{"role": "user", "content": text}]}
    reply = await served.client.post("/v1/plugin/request", headers=as_user(user), json=body)
    assert reply.status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, as_user("ana"), {"authorization": "Bearer wrong"}])
async def test_they_are_for_operators(served: Served, path: str, headers: dict[str, str]) -> None:
    assert (await served.client.get(path, headers=headers)).status_code == 401


async def test_the_state_of_a_fresh_service(served: Served) -> None:
    state = (await served.client.get("/v1/state", headers=as_admin())).json()
    assert state["backend"] == "embedded"
    assert state["auth"] == {"modes": ["header"]}
    assert state["readiness"]["ready"] is True
    assert state["requests"] == {"total": 0, "outcomes": []}
    assert (state["stages"], state["cache"]) == ([], None)
    (worker,) = state["workers"]
    assert (worker["index"], worker["generation"], worker["ready"], worker["restarts"]) == (0, 1, True, 0)


async def test_what_memory_did_is_counted(served: Served) -> None:
    for text in ("where do I sit on planes?", "which tea do I drink?"):
        await plugin_request(served, "ana", text)
    state = (await served.client.get("/v1/state", headers=as_admin())).json()
    assert state["requests"]["total"] == 2
    (outcome,) = state["requests"]["outcomes"]
    assert (outcome["interface"], outcome["status"], outcome["count"]) == ("plugin", "missing", 2)
    stages = {stage["name"]: stage for stage in state["stages"]}
    assert {"statistics", "total"} <= set(stages)
    assert (stages["total"]["count"], stages["total"]["since_start"]) == (2, 2)
    assert 0 < stages["total"]["p50"] <= stages["total"]["p99"]


async def test_who_asks_for_the_state_is_not_in_flight(served: Served) -> None:
    state = (await served.client.get("/v1/state", headers=as_admin())).json()
    assert (state["http"]["in_flight"], [worker["in_flight"] for worker in state["workers"]]) == (0, [0])


async def test_the_cache_shows_its_levels(serving: Serving) -> None:
    async with serving(redis_cache={"enabled": True}) as served:
        await served.memory.add(_scope("ana"), "Ana sits at the window")
        for _ in range(3):
            await plugin_request(served, "ana", "where does Ana sit?")
        cache = (await served.client.get("/v1/state", headers=as_admin())).json()["cache"]
    assert cache["levels"] == {"miss": 1, "level 1": 2}
    assert cache["entries"] == 1


async def test_the_store_is_told_on_demand(served: Served) -> None:
    await served.memory.add(_scope("ana"), "Ana sits at the window")
    plain = (await served.client.get("/v1/state", headers=as_admin())).json()
    assert "store" not in plain
    whole = (await served.client.get("/v1/state?include=store", headers=as_admin())).json()
    assert whole["store"]["memories"] == 1
    assert "database" in {finding["name"] for finding in whole["findings"]}
    assert whole["cache_server"] is None


async def test_state_and_events_hold_no_user_and_no_text(served: Served) -> None:
    await plugin_request(served, "the-user-id", "the secret text of a user")
    for path in ("/v1/state?include=store", "/v1/events?requests=true", "/metrics"):
        text = (await served.client.get(path, headers=as_admin())).text
        assert "the-user-id" not in text
        assert "secret" not in text


async def test_events_come_newest_first(served: Served) -> None:
    timeline = served.service.telemetry.timeline
    timeline.note("started", workers=1)
    timeline.note("worker_died", worker=0)
    events = (await served.client.get("/v1/events", headers=as_admin())).json()["events"]
    assert [(event["kind"], event["level"]) for event in events] == [("worker_died", "error"), ("started", "info")]
    assert len((await served.client.get("/v1/events?limit=1", headers=as_admin())).json()["events"]) == 1


async def test_events_since_a_time(served: Served) -> None:
    served.service.telemetry.timeline.note("started")
    for since, count in ((datetime(2020, 1, 1, tzinfo=UTC), 1), (datetime(2120, 1, 1, tzinfo=UTC), 0)):
        reply = await served.client.get("/v1/events", headers=as_admin(), params={"since": since.isoformat()})
        assert len(reply.json()["events"]) == count
    assert (await served.client.get("/v1/events?since=yesterday", headers=as_admin())).status_code == 400


async def test_requests_are_listed_when_asked_for(served: Served) -> None:
    await plugin_request(served, "ana", "where do I sit on planes?")
    assert (await served.client.get("/v1/events", headers=as_admin())).json()["events"] == []
    (event,) = (await served.client.get("/v1/events?requests=true", headers=as_admin())).json()["events"]
    assert (event["kind"], event["decision"], event["status"]) == ("request", "wide", "missing")


async def test_decisions_show_the_policy_in_force(served: Served) -> None:
    found = (await served.client.get("/v1/decisions", headers=as_admin())).json()
    policies = {decision["name"]: decision["policy"] for decision in found["decisions"]}
    assert found["globals"]["recall"]["limit"] == 5
    assert policies["wide"]["recall"]["limit"] == 10
    assert policies["off"]["enabled"] is False
    assert found["user_header"] == "x-authz-user-id"


# -- loading the configuration anew


class Colleagues:
    """Reloads as it is told to."""

    def __init__(self, result: ReloadResult | Exception) -> None:
        self.result = result

    async def reload(self) -> ReloadResult:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def gather(self, _topic: str) -> list[Any]:
        return []


async def test_a_reload_says_what_changed(served: Served) -> None:
    served.service.colleagues = Colleagues(ReloadResult(2, ("a.b",), ("a.b",), ("careful",), 4))
    reply = await served.client.post("/v1/config/reload", headers=as_admin())
    expected = {"generation": 2, "changed": ["a.b"], "needs_restart": ["a.b"], "warnings": ["careful"], "workers": 4}
    assert (reply.status_code, reply.json()) == (200, expected)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConfigError("must be positive", file="c.yaml", key_path="a.b"), 422, "INVALID_CONFIGURATION"),
        (EmbeddingError("there is no model"), 503, "RELOAD_FAILED"),
    ],
)
async def test_a_reload_that_is_refused_says_why(served: Served, error: Exception, status: int, code: str) -> None:
    served.service.colleagues = Colleagues(error)
    reply = await served.client.post("/v1/config/reload", headers=as_admin())
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert str(error) == reply.json()["error"]["message"]


async def test_a_state_without_answers_is_a_state(served: Served) -> None:
    """The parent is away, or every worker is late."""
    served.service.colleagues = Colleagues(RuntimeError())
    state = (await served.client.get("/v1/state", headers=as_admin())).json()
    assert (state["workers"], state["readiness"]["ready"]) == ([], False)


def _scope(user: str) -> Any:
    from router_memory import Scope

    return Scope(user)
