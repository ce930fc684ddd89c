"""A user's memories as a whole: listed, added to, deleted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from router_memory import Scope
from router_memory.errors import BackendTimeout
from tests.interfaces.http.conftest import Served, Serving, as_user

ANA, BEN = as_user("ana"), as_user("ben")


def code_of(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "timestamp"}
    return answer.status_code, error["code"]


async def added(served: Served, *contents: str, headers: dict[str, str] = ANA, **more: Any) -> list[str]:
    answers = [
        await served.client.post("/v1/memory", headers=headers, json={"content": content, **more})
        for content in contents
    ]
    assert {answer.status_code for answer in answers} <= {200, 201}
    return [answer.json()["id"] for answer in answers]


async def listed(served: Served, query: str = "", headers: dict[str, str] = ANA) -> list[str]:
    answer = await served.client.get(f"/v1/memory{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [memory["content"] for memory in answer.json()["memories"]]


async def test_a_memory_has_the_fields_of_the_reference_and_ours(served: Served) -> None:
    answer = await served.client.post(
        "/v1/memory", headers=ANA, json={"content": "prefers aisle seats", "importance": 0.9, "type": "procedural"}
    )
    memory = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/memory/{memory['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert memory["created_at"].endswith("Z")
    assert memory == {
        "id": memory["id"],
        "type": "procedural",
        "content": "prefers aisle seats",
        "user_id": "ana",
        "project": None,
        "source": None,
        "role": None,
        "speaker": None,
        "conversation_id": None,
        "importance": 0.9,
        "access_count": 0,
        "created_at": memory["created_at"],
        "updated_at": memory["created_at"],
        "accessed_at": None,
    }


async def test_the_same_content_again_is_the_same_memory(served: Served) -> None:
    first = await served.client.post("/v1/memory", headers=ANA, json={"content": "prefers aisle seats"})
    again = await served.client.post("/v1/memory", headers=ANA, json={"content": "  prefers aisle seats\n"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert "location" not in again.headers
    assert await served.memory.count(Scope("ana")) == 1


async def test_a_memory_that_was_changed_stands_for_its_old_content_no_more(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    await served.client.patch(f"/v1/memory/{id}", headers=ANA, json={"content": "prefers window seats"})
    again = await served.client.post("/v1/memory", headers=ANA, json={"content": "prefers aisle seats"})
    assert again.status_code == 201
    assert again.json()["id"] != id


async def test_pages_follow_each_other_newest_first(served: Served) -> None:
    contents = [f"fact number {number}" for number in range(7)]
    await added(served, *contents)
    seen, cursor = [], ""
    while True:
        page = (await served.client.get(f"/v1/memory?limit=3{cursor}", headers=ANA)).json()
        assert (page["total"], page["limit"]) == (7, 3)
        seen += [memory["content"] for memory in page["memories"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert seen == contents[::-1]


@pytest.mark.parametrize(("query", "limit"), [("", 20), ("?limit=1", 1), ("?limit=100", 100), ("?limit=5000", 100)])
async def test_the_limit_is_20_and_at_most_100(served: Served, query: str, limit: int) -> None:
    assert (await served.client.get(f"/v1/memory{query}", headers=ANA)).json()["limit"] == limit


async def test_types_filter_separated_by_commas_or_repeated(served: Served) -> None:
    for kind in ("semantic", "procedural", "episodic"):
        await added(served, f"something {kind}", type=kind)
    assert await listed(served, "?type=semantic") == ["something semantic"]
    for query in ("?type=episodic,semantic", "?type=episodic&type=semantic", "?type= episodic , semantic,"):
        assert await listed(served, query) == ["something episodic", "something semantic"]
    assert len(await listed(served, "?type=")) == 3


async def test_deleting_by_type_leaves_the_others(served: Served) -> None:
    await added(served, "a fact about seats")
    await added(served, "how to book a seat", type="procedural")
    answer = await served.client.delete("/v1/memory?type=procedural", headers=ANA)
    assert answer.json() == {"success": True, "message": "1 memory deleted", "deleted": 1}
    assert await listed(served) == ["a fact about seats"]


async def test_deleting_all_deletes_those_of_all_projects_and_no_other_user(served: Served) -> None:
    await added(served, "a fact about seats")
    await added(served, "a fact about trains", project="work")
    await added(served, "a fact about boats", headers=BEN)
    assert (await served.client.delete("/v1/memory", headers=ANA)).json()["deleted"] == 2
    assert await listed(served) == []
    assert await listed(served, headers=BEN) == ["a fact about boats"]


@pytest.mark.parametrize(
    "query", ["?types=semantic", "?type=", "?type=,", "?type=semantic,", "?limit=1", "?user_id=ben"]
)
async def test_a_filter_that_was_mistyped_deletes_nothing(served: Served, query: str) -> None:
    await added(served, "a fact about seats")
    answer = await served.client.delete(f"/v1/memory{query}", headers=ANA)
    assert answer.status_code == 400
    assert await listed(served) == ["a fact about seats"]


async def test_projects_come_by_header_field_or_parameter(served: Served) -> None:
    work = as_user("ana", x_project_id="work")
    await added(served, "by header", headers=work)
    await added(served, "by field", project="work")
    await added(served, "elsewhere", project="home")
    await added(served, "nowhere")
    for query, headers in (("", work), ("?project=work", ANA), ("?project=work", work)):
        assert await listed(served, query, headers) == ["by field", "by header"]
    assert len(await listed(served)) == 4
    assert code_of(await served.client.get("/v1/memory?project=home", headers=work)) == (400, "INVALID_PROJECT")
    clash = await served.client.post("/v1/memory", headers=work, json={"content": "a clash", "project": "home"})
    assert code_of(clash) == (400, "INVALID_PROJECT")


async def test_a_batch_keeps_its_order_and_says_what_was_new(served: Served) -> None:
    await added(served, "the second one")
    memories = [{"content": content} for content in ("the first one", "the second one", "the third one")]
    answer = await served.client.post(
        "/v1/memory:batch", headers=ANA, json={"memories": [*memories, {"content": "the third one"}]}
    )
    result = answer.json()
    assert answer.status_code == 200
    assert [item["status"] for item in result["results"]] == ["stored", "merged", "stored", "merged"]
    assert [item["memory"]["content"] for item in result["results"][:3]] == [memory["content"] for memory in memories]
    assert (result["stored"], result["merged"]) == (2, 2)
    assert await listed(served) == ["the third one", "the first one", "the second one"]


async def test_a_batch_with_one_memory_that_cannot_be_stored_stores_none(serving: Serving) -> None:
    async with serving(write={"max_content_bytes": 256}) as served:
        for wrong in ("   ", "x" * 257):
            answer = await served.client.post(
                "/v1/memory:batch", headers=ANA, json={"memories": [{"content": "a good one"}, {"content": wrong}]}
            )
            assert code_of(answer) == (400, "INVALID_REQUEST")
            assert answer.json()["error"]["message"].startswith("memories.1: content")
        assert await listed(served) == []


async def test_a_batch_of_too_many_is_refused(served: Served) -> None:
    body = {"memories": [{"content": f"fact {number}"} for number in range(101)]}
    assert code_of(await served.client.post("/v1/memory:batch", headers=ANA, json=body)) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?limit=0", "INVALID_LIMIT"),
        ("?limit=-1", "INVALID_LIMIT"),
        ("?limit=ten", "INVALID_LIMIT"),
        ("?limit=1.5", "INVALID_LIMIT"),
        ("?limit=٣", "INVALID_LIMIT"),
        (f"?limit={'9' * 5000}", "INVALID_LIMIT"),
        ("?type=factual", "INVALID_TYPE"),
        ("?type=semantic,factual", "INVALID_TYPE"),
        ("?cursor=nonsense", "INVALID_CURSOR"),
        ("?cursor=", "INVALID_CURSOR"),
        ("?project=", "INVALID_PROJECT"),
        ("?limit=1&limit=2", "INVALID_REQUEST"),
        ("?offset=3", "INVALID_REQUEST"),
    ],
)
async def test_wrong_parameters_are_named(served: Served, query: str, code: str) -> None:
    assert code_of(await served.client.get(f"/v1/memory{query}", headers=ANA)) == (400, code)


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({}, "INVALID_REQUEST", "content"),
        ({"content": ""}, "INVALID_REQUEST", "content"),
        ({"content": " \n"}, "INVALID_REQUEST", "content"),
        ({"content": 7}, "INVALID_REQUEST", "content"),
        ({"content": "x" * 1_000_000}, "INVALID_REQUEST", "content"),
        ({"content": "x", "type": "factual"}, "INVALID_TYPE", "type"),
        ({"content": "x", "importance": 1.5}, "INVALID_REQUEST", "importance"),
        ({"content": "x", "importance": "0.5"}, "INVALID_REQUEST", "importance"),
        ({"content": "x", "importance": True}, "INVALID_REQUEST", "importance"),
        ({"content": "x", "project": ""}, "INVALID_PROJECT", "project"),
        ({"content": "x", "speaker": "s" * 129}, "INVALID_REQUEST", "speaker"),
        ({"content": "x", "contnet": "y"}, "INVALID_REQUEST", "contnet"),
        ([], "INVALID_REQUEST", "body"),
        ("text", "INVALID_REQUEST", "body"),
    ],
)
async def test_wrong_bodies_are_named_and_store_nothing(served: Served, body: Any, code: str, word: str) -> None:
    answer = await served.client.post("/v1/memory", headers=ANA, json=body)
    assert code_of(answer) == (400, code)
    assert word in answer.json()["error"]["message"]
    assert await listed(served) == []


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"content": "x", "importance": NaN}', "application/json", 400),
        (b'{"content": "x", "importance": 1e999}', "application/json", 400),
        (b'{"content": "\\ud800"}', "application/json", 400),
        (b'{"content": "\xff"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"content": "a fact"}', "text/plain", 415),
        (b"content=x", "application/x-www-form-urlencoded", 415),
        (b'{"content": "a fact"}', "application/json; charset=utf-8", 201),
    ],
)
async def test_bodies_that_are_no_json(served: Served, raw: bytes, content_type: str, status: int) -> None:
    answer = await served.client.post("/v1/memory", headers={**ANA, "content-type": content_type}, content=raw)
    assert answer.status_code == status, answer.text
    if status != 201:
        code_of(answer)


async def test_without_a_user_there_is_no_memory(served: Served) -> None:
    for method, path in (("GET", "/v1/memory"), ("POST", "/v1/memory"), ("DELETE", "/v1/memory")):
        body = {"content": "x"} if method == "POST" else None
        assert code_of(await served.client.request(method, path, json=body)) == (401, "MISSING_USER_ID")


async def test_the_body_of_nobody_is_not_looked_at(served: Served) -> None:
    for path in ("/v1/memory", "/v1/memory:batch", "/v1/memory/search", "/v1/plugin/request", "/v1/plugin/response"):
        answer = await served.client.post(path, content=b"{", headers={"content-type": "application/json"})
        assert code_of(answer) == (401, "MISSING_USER_ID")


async def test_a_user_id_that_cannot_be_one_is_refused(served: Served) -> None:
    answer = await served.client.get("/v1/memory", headers=as_user("x" * 70_000))
    assert code_of(answer) == (400, "INVALID_USER_ID")


async def test_a_store_that_is_away_is_a_503(served: Served) -> None:
    await served.memory.close()
    for method, path, body in (
        ("GET", "/v1/memory", None),
        ("GET", "/v1/memory/x", None),
        ("GET", "/v1/memory/export", None),
        ("DELETE", "/v1/memory", None),
        ("POST", "/v1/memory", {"content": "x"}),
        ("POST", "/v1/memory/search", {"query": "x"}),
    ):
        answer = await served.client.request(method, path, headers=ANA, json=body)
        assert code_of(answer) == (503, "MEMORY_NOT_AVAILABLE"), path


async def test_a_model_that_is_broken_is_a_503_and_reading_goes_on(served: Served) -> None:
    await added(served, "prefers aisle seats")
    served.embedder.failing = True
    answer = await served.client.post("/v1/memory", headers=ANA, json={"content": "another fact"})
    assert code_of(answer) == (503, "MEMORY_NOT_AVAILABLE")
    assert await listed(served) == ["prefers aisle seats"]


@pytest.mark.parametrize(
    ("method", "path", "body", "library"),
    [
        ("POST", "/v1/memory", {"content": "a fact"}, "add"),
        ("POST", "/v1/memory:batch", {"memories": [{"content": "a fact"}, {"content": "another"}]}, "add"),
        ("PATCH", "/v1/memory/x", {"content": "a fact"}, "update"),
        ("DELETE", "/v1/memory/x", None, "forget"),
        ("DELETE", "/v1/memory", None, "forget_scope"),
    ],
)
async def test_a_write_that_timed_out_is_told_as_unknown(
    served: Served, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any, library: str
) -> None:
    async def late(*_: Any, **__: Any) -> None:
        raise BackendTimeout("no answer", backend="valkey", operation=library)

    monkeypatch.setattr(served.memory, library, late)
    answer = await served.client.request(method, path, headers=ANA, json=body)
    assert code_of(answer) == (504, "MEMORY_TIMEOUT")
    assert "unknown" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"]


async def test_a_batch_that_failed_in_the_middle_can_be_repeated(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"memories": [{"content": f"fact number {number}"} for number in range(40)]}
    add, calls = served.memory.add, 0

    async def failing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise BackendTimeout("no answer", backend="valkey", operation="add")
        return await add(*arguments, **named)

    monkeypatch.setattr(served.memory, "add", failing)
    assert (await served.client.post("/v1/memory:batch", headers=ANA, json=body)).status_code == 504
    result = (await served.client.post("/v1/memory:batch", headers=ANA, json=body)).json()
    assert result["stored"] + result["merged"] == 40
    assert await served.memory.count(Scope("ana")) == 40
