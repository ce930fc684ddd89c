"""One memory: read, changed, deleted, with entity tags."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from router_memory import Scope
from tests.interfaces.http.conftest import Served, as_user
from tests.interfaces.http.memory.test_collection import added, code_of

ANA, BEN = as_user("ana"), as_user("ben")


async def fetched(served: Served, id: str, headers: dict[str, str] = ANA) -> httpx.Response:
    return await served.client.get(f"/v1/memory/{id}", headers=headers)


async def test_a_memory_is_read_as_it_was_stored(served: Served) -> None:
    stored = await served.client.post("/v1/memory", headers=ANA, json={"content": "prefers aisle seats"})
    answer = await fetched(served, stored.json()["id"])
    assert answer.status_code == 200
    assert answer.json() == stored.json()
    assert answer.headers["etag"] == stored.headers["etag"]
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_a_foreign_memory_is_as_absent_as_one_that_there_is_not(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    for method, body in (("GET", None), ("PATCH", {"content": "changed"}), ("DELETE", None)):
        foreign = await served.client.request(method, f"/v1/memory/{id}", headers=BEN, json=body)
        absent = await served.client.request(method, f"/v1/memory/{'0' * 32}", headers=BEN, json=body)
        assert code_of(foreign) == code_of(absent) == (404, "NOT_FOUND")
        assert foreign.json()["error"]["message"] == absent.json()["error"]["message"]
    assert (await fetched(served, id)).json()["content"] == "prefers aisle seats"


async def test_a_project_hides_the_memories_of_the_others(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats", project="work")  # noqa: A001 - the field's own name
    assert (await fetched(served, id)).status_code == 200
    assert (await fetched(served, f"{id}?project=work")).status_code == 200
    assert code_of(await fetched(served, f"{id}?project=home")) == (404, "NOT_FOUND")
    assert code_of(await fetched(served, id, as_user("ana", x_project_id="home"))) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "code"),
    [("", "MISSING_ID"), ("%20", "INVALID_ID"), ("a%00b", "INVALID_ID")],
)
async def test_ids_that_cannot_be_one(served: Served, path: str, code: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await served.client.request(method, f"/v1/memory/{path}", headers=ANA)
        assert code_of(answer) == (400, code)


@pytest.mark.parametrize("id", ["a/b", "a%b", "x y", "ünï", "../memory", "a?b", "a#b", ":batch"])
async def test_any_id_of_an_import_can_be_reached(served: Served, id: str) -> None:
    record = await served.memory.add(Scope("ana"), "prefers aisle seats")
    await served.memory.restore([replace(record, id=id)])
    path = f"/v1/memory/{quote(id, safe='')}"
    assert (await served.client.get(path, headers=ANA)).json()["id"] == id
    assert (await served.client.delete(path, headers=ANA)).status_code == 200


async def test_a_change_keeps_the_rest_and_embeds_new_content(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats", importance=0.9)  # noqa: A001 - the field's own name
    before = (await fetched(served, id)).json()
    answer = await served.client.patch(f"/v1/memory/{id}", headers=ANA, json={"content": "prefers window seats"})
    after = answer.json()
    assert answer.status_code == 200
    assert after == {**before, "content": "prefers window seats", "updated_at": after["updated_at"]}
    assert served.embedder.passages[-1] == "prefers window seats"
    assert (await fetched(served, id)).json() == after
    assert answer.headers["etag"] == (await fetched(served, id)).headers["etag"]


async def test_a_change_of_the_type_alone_embeds_nothing(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    embedded = len(served.embedder.passages)
    answer = await served.client.patch(f"/v1/memory/{id}", headers=ANA, json={"type": "episodic", "content": None})
    assert (answer.json()["type"], answer.json()["content"]) == ("episodic", "prefers aisle seats")
    assert len(served.embedder.passages) == embedded


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"content": None}, "INVALID_REQUEST"),
        ({"content": "  "}, "INVALID_REQUEST"),
        ({"importance": -0.1}, "INVALID_REQUEST"),
        ({"type": "factual"}, "INVALID_TYPE"),
        ({"id": "another"}, "INVALID_ID"),
        ({"user_id": "ben"}, "INVALID_REQUEST"),
    ],
)
async def test_a_wrong_change_changes_nothing(served: Served, body: dict[str, Any], code: str) -> None:
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    before = (await fetched(served, id)).json()
    answer = await served.client.patch(f"/v1/memory/{id}", headers=ANA, json=body)
    assert answer.status_code == 400
    assert (await fetched(served, id)).json() == before
    if "id" not in body:
        assert code_of(answer) == (400, code)


async def test_deleting_twice_says_that_there_is_none(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    answer = await served.client.delete(f"/v1/memory/{id}", headers=ANA)
    assert answer.json() == {"success": True, "message": "1 memory deleted", "deleted": 1}
    assert code_of(await served.client.delete(f"/v1/memory/{id}", headers=ANA)) == (404, "NOT_FOUND")


async def test_what_is_known_is_not_sent_again(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    etag = (await fetched(served, id)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await fetched(served, id, {**ANA, "if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    for other in ('"other"', etag.strip('"'), ""):
        assert (await fetched(served, id, {**ANA, "if-none-match": other})).status_code == 200


async def test_a_state_that_is_gone_is_neither_changed_nor_deleted(served: Served) -> None:
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    old = (await fetched(served, id)).headers["etag"]
    changed = await served.client.patch(
        f"/v1/memory/{id}", headers={**ANA, "if-match": old}, json={"content": "prefers window seats"}
    )
    assert changed.status_code == 200
    for match in (old, f"W/{changed.headers['etag']}", "nonsense", '""'):
        headers = {**ANA, "if-match": match}
        patched = await served.client.patch(f"/v1/memory/{id}", headers=headers, json={"content": "again"})
        deleted = await served.client.delete(f"/v1/memory/{id}", headers=headers)
        assert code_of(patched) == code_of(deleted) == (412, "PRECONDITION_FAILED")
    assert (await fetched(served, id)).json()["content"] == "prefers window seats"
    for match in (f'"other", {changed.headers["etag"]}', "*"):
        headers = {**ANA, "if-match": match}
        patched = await served.client.patch(f"/v1/memory/{id}", headers=headers, json={"importance": 0.7})
        assert patched.status_code == 200
    headers = {**ANA, "if-match": patched.headers["etag"]}
    assert (await served.client.delete(f"/v1/memory/{id}", headers=headers)).status_code == 200


async def test_being_used_leaves_the_etag_as_it_is(served: Served) -> None:
    """Else an editor could not save because the memory was injected meanwhile."""
    (id,) = await added(served, "prefers aisle seats")  # noqa: A001 - the field's own name
    before = await fetched(served, id)
    outcome = await served.memory.on_request(
        decision="wide", user_id="ana", messages=[{"role": "user", "content": "book me the aisle seats, please"}]
    )
    assert outcome.memories
    await served.memory.drain()
    after = await fetched(served, id)
    assert after.json()["access_count"] == before.json()["access_count"] + 1
    assert after.headers["etag"] == before.headers["etag"]
