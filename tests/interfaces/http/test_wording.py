"""What errors say: what is wanted, in words of this API."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.interfaces.http.conftest import Served, Serving, as_admin, as_user

HEADER = "x-authz-user-id"


def message_of(answer: httpx.Response) -> str:
    said: str = answer.json()["error"]["message"]
    return said


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("", [], "the body must be a JSON object"),
        ("", None, "the body must be a JSON object"),
        ("", {}, "content is missing"),
        ("", {"content": ""}, "content must have at least 1 character"),
        ("", {"content": 3}, "content must be text"),
        ("", {"content": "x", "importance": 2}, "importance must be a number from 0 to 1"),
        ("", {"content": "x", "importance": -1}, "importance must be a number from 0 to 1"),
        ("", {"content": "x", "importance": "high"}, "importance must be a number from 0 to 1"),
        ("", {"content": "x", "tags": []}, "tags: there is no such field"),
        (":batch", {"memories": []}, "memories must have at least 1 entry"),
        (":batch", {"memories": [3]}, "memories.0 must be a JSON object"),
        ("/search", {"query": "x", "limit": 0}, "limit must be at least 1"),
        ("/search", {"query": "x", "limit": "3"}, "limit must be a whole number"),
        ("/search", {"query": "x", "explain": 1}, "explain must be true or false"),
        ("/search", {"query": "x", "types": "semantic"}, "types must be a list"),
    ],
)
async def test_a_wrong_body(served: Served, path: str, body: Any, said: str) -> None:
    headers = {**as_user("ana"), "content-type": "application/json"}
    answer = await served.client.post(f"/v1/memory{path}", headers=headers, content=json.dumps(body))
    assert (answer.status_code, message_of(answer)) == (400, said)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("headers", 3, "headers must be a JSON object or a list of pairs"),
        ("now", "soon", "now must be a time in ISO 8601"),
    ],
)
async def test_a_wrong_field_of_a_chat(served: Served, field: str, value: object, said: str) -> None:
    body = {"messages": [], field: value}
    answer = await served.client.post("/v1/plugin/request", headers=as_user("ana"), json=body)
    assert (answer.status_code, message_of(answer)) == (400, said)


async def test_a_wrong_type_is_told_in_the_same_words_everywhere(served: Served) -> None:
    said = "type must be one of semantic, procedural, episodic"
    listed = await served.client.get("/v1/memory?type=other", headers=as_user("ana"))
    stored = await served.client.post("/v1/memory", headers=as_user("ana"), json={"content": "x", "type": "other"})
    assert (message_of(listed), message_of(stored)) == (said, said)


@pytest.mark.parametrize(
    ("auth", "headers", "said"),
    [
        ({}, {}, f"send the header {HEADER}"),
        ({"trusted_peers": ["10.0.0.0/8"]}, as_user("ana"), "service.auth.trusted_peers"),
        ({"modes": ["api_key"]}, as_user("ana"), f"an API key is needed; the header {HEADER} does not count here"),
        ({"modes": ["api_key"]}, {"x-api-key": "router"}, f"say in the header {HEADER} for which user"),
        ({"modes": ["header", "api_key"], "trusted_peers": ["10.0.0.0/8"]}, {}, "or an API key"),
        ({}, as_admin(), f"say in the header {HEADER} for which user"),
        ({"modes": ["development"], "admin_key": ""}, {}, "user_id"),
    ],
)
async def test_a_request_of_nobody_is_told_how_to_name_a_user(
    serving: Serving, tmp_path: Path, auth: dict[str, Any], headers: dict[str, str], said: str
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"- key_sha256: {sha256(b'router').hexdigest()}\n  users: ['*']\n")
    named = {"api_keys_file": str(keys)} if "api_key" in auth.get("modes", ()) else {}
    async with serving(service={"auth": {**auth, **named}}) as served:
        answer = await served.client.get("/v1/memory", headers=headers)
    assert answer.status_code == 401
    assert said in message_of(answer)
