"""Searching a user's memories."""

from __future__ import annotations

from typing import Any

import pytest

from router_memory import Scope
from router_memory.plugin.describe import describe
from tests.interfaces.http.conftest import Served, as_user
from tests.interfaces.http.memory.test_collection import added, code_of

ANA = as_user("ana")


async def searched(served: Served, headers: dict[str, str] = ANA, **body: Any) -> dict[str, Any]:
    answer = await served.client.post("/v1/memory/search", headers=headers, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def contents(found: dict[str, Any]) -> list[str]:
    return [result["memory"]["content"] for result in found["results"]]


async def test_the_most_relevant_comes_first_as_in_the_library(served: Served) -> None:
    await added(served, "prefers aisle seats", "plays the trumpet", "the seats in row one are loud")
    found = await searched(served, query="aisle seats", threshold=0)
    hits = await served.memory.search(Scope("ana"), "aisle seats", threshold=0)
    assert contents(found)[0] == "prefers aisle seats"
    assert [(result["memory"]["id"], result["similarity"], result["score"]) for result in found["results"]] == [
        (hit.record.id, hit.similarity, hit.score) for hit in hits
    ]
    assert found["explain"] is None


async def test_explain_tells_what_describe_tells(served: Served) -> None:
    await added(served, "prefers aisle seats", "plays the trumpet")
    explained = (await searched(served, query="aisle seats", threshold=0.9, explain=True))["explain"]
    expected = describe(await served.memory.recollect(Scope("ana"), "aisle seats", threshold=0.9))
    for told in (explained, expected):
        told.pop("seconds")
    assert explained == expected
    assert explained["misses"][0]["why"]


async def test_arguments_reach_the_search(served: Served) -> None:
    await added(served, "prefers aisle seats")
    await added(served, "how to book aisle seats", type="procedural")
    await added(served, "aisle seats at work", project="work")
    assert len(contents(await searched(served, query="aisle seats", threshold=0, limit=1))) == 1
    assert contents(await searched(served, query="aisle seats", threshold=0, types=["procedural"])) == [
        "how to book aisle seats"
    ]
    assert contents(await searched(served, query="aisle seats", threshold=0, project="work")) == ["aisle seats at work"]
    work = as_user("ana", x_project_id="work")
    assert contents(await searched(served, work, query="aisle seats", threshold=0)) == ["aisle seats at work"]
    assert (await searched(served, query="aisle seats", decision="exact"))["threshold"] == 1.0
    dense = await searched(served, query="aisle seats", mode="dense", cutoff="fixed", threshold=0, explain=True)
    assert dense["explain"]["cut"]["rule"] == "fixed"
    assert not dense["explain"]["hits"][0]["support"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"query": "  "}, "INVALID_REQUEST"),
        ({"query": "x", "limit": 0}, "INVALID_LIMIT"),
        ({"query": "x", "limit": 101}, "INVALID_LIMIT"),
        ({"query": "x", "limit": "3"}, "INVALID_LIMIT"),
        ({"query": "x", "limit": True}, "INVALID_LIMIT"),
        ({"query": "x", "types": ["factual"]}, "INVALID_TYPE"),
        ({"query": "x", "types": "semantic"}, "INVALID_TYPE"),
        ({"query": "x", "threshold": 2}, "INVALID_REQUEST"),
        ({"query": "x", "mode": "magic"}, "INVALID_REQUEST"),
        ({"query": "x", "cutoff": "magic"}, "INVALID_REQUEST"),
        ({"query": "x", "explain": "yes"}, "INVALID_REQUEST"),
        ({"query": "x", "top_k": 3}, "INVALID_REQUEST"),
    ],
)
async def test_wrong_searches_are_named(served: Served, body: dict[str, Any], code: str) -> None:
    assert code_of(await served.client.post("/v1/memory/search", headers=ANA, json=body)) == (400, code)


async def test_a_megabyte_of_query_is_searched_for(served: Served) -> None:
    await added(served, "prefers aisle seats")
    assert contents(await searched(served, query="aisle seats " + "x" * 1_000_000, threshold=0))


@pytest.mark.parametrize(("decision", "hint"), [("exakt", "did you mean 'exact'?"), ("zzz", "leave it out")])
async def test_a_decision_that_was_mistyped_is_refused(served: Served, decision: str, hint: str) -> None:
    body = {"query": "aisle seats", "decision": decision}
    answer = await served.client.post("/v1/memory/search", headers=ANA, json=body)
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert hint in answer.json()["error"]["message"]


async def test_a_blank_decision_is_none(served: Served) -> None:
    assert await searched(served, query="aisle seats", decision="")
