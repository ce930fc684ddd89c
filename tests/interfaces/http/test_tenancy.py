"""Two users of one service: neither reads, changes or learns of the other's memories by any route.

Ben attacks with whatever of Ana's he could have come by: her user id, the ids, tags and cursors of her memories, her
tickets, her exports. Everything he sends goes to two services: one where Ana has memories, and one where she never was.
What he is told must not differ, and what Ana has must be the same afterwards. A route that is not in `ATTACKS` fails
the test: whoever adds one says here how it could be abused.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from router_memory import MemoryRecord, Scope
from router_memory.storage.portable import to_line
from tests.interfaces.http.conftest import ADMIN_KEY, Served, Serving, routes_of
from tests.interfaces.serving.upstream import Upstream
from tests.unit.identity import support

SECRET = "Zanzibar"
"""What Ben does not know."""
QUESTION = [{"role": "user", "content": "Where do I keep the spare key of the boathouse, please?"}]
MEMORY = f"keeps the spare key of the boathouse in {SECRET}"
GUESSED = "the spare key of the boathouse is behind the clock"
"""What he rightly thinks that Ana has stored."""
ANSWER = f"It is in {SECRET}, as always, behind the boathouse."


@dataclass(frozen=True, slots=True)
class Loot:
    """What Ben has of Ana's."""

    id: str
    turn: str
    etag: str
    cursor: str
    ticket: str
    export: str
    conversation: str = "ana-and-the-boathouse"
    project: str = "boathouse"


EMPTY = Loot("id", "turn", '"etag"', "cursor", "ticket", "{}")


@dataclass(frozen=True, slots=True)
class Attack:
    """One request of Ben's, without his credential."""

    path: str
    body: Any = None
    content: str | None = None
    headers: Mapping[str, str] | None = None


def one_memory(loot: Loot, body: Any = None, header: str = "if-none-match") -> list[Attack]:
    found = []
    for id in (loot.id, loot.turn, f"{loot.id}?project={loot.project}", f"{loot.id}?user_id=ana"):  # noqa: A001
        found.append(Attack(f"/v1/memory/{id}", body))
        found.append(Attack(f"/v1/memory/{id}", body, headers={header: loot.etag}))
        found.append(Attack(f"/v1/memory/{id}", body, headers={header: "*", "x-project-id": loot.project}))
    return found


def chats(path: str, **body: Any) -> list[Attack]:
    headers: list[dict[str, str]] = [{}, {"x-conversation-id": "ana-and-the-boathouse"}, {"x-project-id": "boathouse"}]
    return [
        Attack(path, {"model": "echo", "stream": stream, "user": "ana", **body}, headers=each)
        for stream in (False, True)
        for each in headers
    ]


ATTACKS: dict[str, Callable[[Loot], list[Attack]]] = {
    "GET /v1/memory": lambda loot: [
        Attack("/v1/memory"),
        Attack("/v1/memory?user_id=ana"),
        Attack(f"/v1/memory?project={loot.project}"),
        Attack("/v1/memory", headers={"x-project-id": loot.project}),
        Attack(f"/v1/memory?limit=1&cursor={loot.cursor}"),
        Attack(f"/v1/memory?cursor={loot.cursor}&project={loot.project}"),
    ],
    "POST /v1/memory": lambda loot: [
        Attack("/v1/memory", {"content": GUESSED}),
        Attack("/v1/memory", {"content": GUESSED, "project": loot.project}),
        Attack("/v1/memory", {"content": GUESSED, "user_id": "ana"}),
        Attack("/v1/memory?user_id=ana", {"content": "planted by Ben"}),
    ],
    "POST /v1/memory:batch": lambda loot: [
        Attack("/v1/memory:batch", {"memories": [{"content": GUESSED}, {"content": GUESSED, "project": loot.project}]}),
        Attack("/v1/memory:batch", {"memories": [{"content": "planted by Ben", "user_id": "ana"}]}),
        Attack("/v1/memory:batch", {"memories": [{"content": "planted by Ben"}], "user_id": "ana"}),
    ],
    "DELETE /v1/memory": lambda loot: [
        Attack("/v1/memory?user_id=ana"),
        Attack(f"/v1/memory?project={loot.project}"),
        Attack("/v1/memory?type=semantic", headers={"x-project-id": loot.project}),
    ],
    "GET /v1/memory/{id:path}": one_memory,
    "PATCH /v1/memory/{id:path}": lambda loot: one_memory(loot, {"content": "changed by Ben"}, "if-match"),
    "DELETE /v1/memory/{id:path}": lambda loot: one_memory(loot, None, "if-match"),
    "POST /v1/memory/search": lambda loot: [
        Attack("/v1/memory/search", {"query": GUESSED, "threshold": 0, "limit": 100, "explain": True}),
        Attack("/v1/memory/search", {"query": SECRET, "threshold": 0, "project": loot.project, "explain": True}),
        Attack("/v1/memory/search", {"query": SECRET, "threshold": 0, "user_id": "ana"}),
    ],
    "GET /v1/memory/export": lambda loot: [
        Attack("/v1/memory/export"),
        Attack("/v1/memory/export?all=true"),
        Attack("/v1/memory/export?all=1&user_id=ana"),
        Attack("/v1/memory/export?user_id=ana"),
        Attack(f"/v1/memory/export?project={loot.project}"),
    ],
    "POST /v1/memory/import": lambda loot: [
        Attack("/v1/memory/import", content=loot.export),
        Attack("/v1/memory/import", content=planted(loot, user_id="ana", id="f" * 32)),
        Attack("/v1/memory/import", content=planted(loot, user_id="ben")),
        Attack("/v1/memory/import?all=true", content=planted(loot, user_id="ana", id="e" * 32)),
    ],
    "POST /v1/plugin/request": lambda loot: [
        Attack("/v1/plugin/request", {"decision": "wide", "messages": QUESTION, "explain": True, **more})
        for more in (
            {},
            {"project": loot.project},
            {"conversation_id": loot.conversation},
            {"headers": {"x-authz-user-id": "ana", "authorization": f"Bearer {ADMIN_KEY}"}},
            {"user_id": "ana"},
        )
    ],
    "POST /v1/plugin/response": lambda loot: [
        Attack("/v1/plugin/response", {"ticket": loot.ticket, "reply": "planted by Ben", "wait": True}),
        Attack("/v1/plugin/response", {"ticket": loot.ticket, "messages": QUESTION, "wait": True}),
        Attack("/v1/plugin/response", {"ticket": loot.ticket[:-2], "reply": "planted by Ben"}),
    ],
    "POST /v1/chat/completions": lambda loot: chats("/v1/chat/completions", messages=QUESTION),
    "POST /v1/responses": lambda loot: chats("/v1/responses", input=QUESTION),
    "GET /v1/models": lambda loot: [Attack("/v1/models"), Attack("/v1/models?user_id=ana")],
    # What follows is for operators, or the same for everybody. Figures over all users are in /metrics alone.
    "GET /v1/state": lambda loot: [Attack("/v1/state"), Attack("/v1/state?user_id=ana")],
    "GET /v1/events": lambda loot: [Attack("/v1/events?limit=100&requests=true")],
    "GET /v1/decisions": lambda loot: [Attack("/v1/decisions")],
    "POST /v1/config/reload": lambda loot: [Attack("/v1/config/reload")],
    "GET /metrics": lambda loot: [Attack("/metrics")],
    "GET /livez": lambda loot: [Attack("/livez")],
    "GET /readyz": lambda loot: [Attack("/readyz"), Attack("/readyz?for=chats")],
    "GET /openapi.json": lambda loot: [Attack("/openapi.json")],
    "GET /docs": lambda loot: [Attack("/docs")],
    "GET /": lambda loot: [Attack("/")],
    "GET /ui": lambda loot: [Attack("/ui")],
    "GET /ui/{path:path}": lambda loot: [Attack("/ui/"), Attack("/ui/../v1/memory"), Attack("/ui/%2e%2e/v1/memory")],
}

PRIVATE = [route for route in ATTACKS if "/v1/memory" in route or "/v1/plugin" in route or "POST /v1/chat" in route]
PRIVATE += ["POST /v1/responses"]
"""The routes that tell a user of own memories."""

FIGURES = {"GET /metrics", "GET /readyz"}
"""Tell of the whole service; they differ with the number of memories, never by whose they are."""


def planted(loot: Loot, **changes: str) -> str:
    line = {
        **json.loads(loot.export.splitlines()[0]),
        "content": "planted by Ben",
        "created_at": "2026-01-01T00:00:00Z",
    }
    return json.dumps({**line, **changes})


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Says what it was sent, so that memories in a foreign chat would show."""
    running = Upstream().start()
    yield running
    running.close()


@dataclass(frozen=True, slots=True)
class Way:
    """A way to say who one is.

    Attributes:
        auth: The section of that name.
        of: A user's credential.
        spoofs: Further headers that a user may add in the hope of being somebody else.
    """

    auth: Mapping[str, Any]
    of: Callable[[str], Mapping[str, str]]
    spoofs: tuple[Mapping[str, str], ...] = ({},)


def by_header(_folder: Path) -> Way:
    wrong_keys = {"authorization": "Bearer ana", "x-api-key": f"{ADMIN_KEY}x"}
    return Way({"modes": ["header"]}, lambda user: {"x-authz-user-id": user}, ({}, wrong_keys))


def by_key(folder: Path) -> Way:
    file = support.key_file(folder, *({"key": f"key of {user}", "users": [user]} for user in ("ana", "ben")))
    Path(file).chmod(0o600)
    auth = {"modes": ["api_key"], "api_keys_file": file}
    return Way(auth, lambda user: {"x-api-key": f"key of {user}"}, ({}, {"x-authz-user-id": "ana"}))


def by_token(folder: Path) -> Way:
    auth = support.jwt_auth(folder, support.jwk(support.rsa_key()))
    return Way(auth, lambda user: support.bearer(support.token(sub=user)), ({}, {"x-authz-user-id": "ana"}))


@pytest.fixture(params=[by_header, by_key, by_token], ids=lambda made: made.__name__)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Way:
    made: Way = request.param(tmp_path_factory.mktemp("credentials"))
    return made


@asynccontextmanager
async def world(serving: Serving, upstream: Upstream, way: Way, folder: Path, name: str) -> AsyncIterator[Served]:
    service = {"auth": dict(way.auth), "upstream": {"url": upstream.url}, "default_decision": "wide"}
    async with serving(service=service, embedded={"path": str(folder / name)}) as served:
        await served.memory.add(Scope("ben"), "has a boathouse, and its spare key is with the neighbours")
        yield served


async def robbed(served: Served, way: Way) -> Loot:
    """Ana's memories, and what there is to be had of them."""
    ana, memory = Scope("ana"), served.memory
    record = await memory.add(ana, MEMORY)
    await memory.add(Scope("ana", "boathouse"), f"{MEMORY}, she says")
    await memory.add(ana, GUESSED)
    await memory.add(Scope("ana", "boathouse"), GUESSED)
    request = {"decision": "wide", "messages": QUESTION, "conversation_id": EMPTY.conversation}
    given = (await served.client.post("/v1/plugin/request", headers=way.of("ana"), json=request)).json()
    body = {"ticket": given["ticket"], "reply": ANSWER, "wait": True}
    stored = (await served.client.post("/v1/plugin/response", headers=way.of("ana"), json=body)).json()
    page = (await served.client.get("/v1/memory?limit=1", headers=way.of("ana"))).json()
    one = await served.client.get(f"/v1/memory/{record.id}", headers=way.of("ana"))
    assert SECRET in one.text
    assert given["status"] == "used"
    export = "\n".join([to_line(each) async for each in memory.export(ana)])
    return Loot(record.id, stored["results"][-1]["id"], one.headers["etag"], page["cursor"], given["ticket"], export)


async def test_every_route_has_its_attacks(served: Served) -> None:
    """The routes are the application's own list, so that a new one fails here until somebody thought about it."""
    assert {f"{method} {path}" for method, path in routes_of(served.app)} == set(ATTACKS)
    assert all(attacks(EMPTY) for attacks in ATTACKS.values())


async def test_nothing_of_ana_is_read_changed_or_told(
    serving: Serving, upstream: Upstream, way: Way, tmp_path: Path
) -> None:
    for spoof in way.spoofs:
        ben = {**way.of("ben"), **spoof}
        async with world(serving, upstream, way, tmp_path, f"with{len(spoof)}.db") as served:
            loot = await robbed(served, way)
            before = await all_of_ana(served)
            told = await all_told(served, ben, loot, ATTACKS)
            assert await all_of_ana(served) == before
        async with world(serving, upstream, way, tmp_path, f"without{len(spoof)}.db") as served:
            expected = await all_told(served, ben, loot, ATTACKS)
            assert await all_of_ana(served) == []
        for (route, number), answer in told.items():
            attack = ATTACKS[route](loot)[number]
            sent_himself = f"{attack.path} {attack.content} {json.dumps(attack.body)}"
            for secret in (SECRET, loot.id, loot.etag.strip('"')):  # an import of his brings the id of her turn
                assert secret in sent_himself or secret not in answer.whole, (route, attack)
            if route not in FIGURES:
                assert answer == expected[route, number], (route, attack)


async def all_of_ana(served: Served) -> list[MemoryRecord]:
    """But for the counts of their uses."""
    return [replace(each, accessed_at=None, access_count=0) async for each in served.memory.export(Scope("ana"))]


@pytest.mark.parametrize("route", PRIVATE)
async def test_the_attacks_would_find_something(
    serving: Serving, upstream: Upstream, tmp_path: Path, route: str
) -> None:
    """Sent by Ana herself the same requests are told of it; else the test above could not fail."""
    way = by_header(tmp_path)
    async with world(serving, upstream, way, tmp_path, "with.db") as served:
        loot = await robbed(served, way)
        told = await all_told(served, way.of("ana"), loot, [route])
    async with world(serving, upstream, way, tmp_path, "without.db") as served:
        assert told != await all_told(served, way.of("ana"), loot, [route])


async def all_told(
    served: Served, credential: Mapping[str, str], loot: Loot, routes: Iterable[str]
) -> dict[tuple[str, int], Told]:
    """What somebody is told, by route and number of the attack."""
    told: dict[tuple[str, int], Told] = {}
    for route in routes:
        for number, attack in enumerate(ATTACKS[route](loot)):
            answer = await sent(served, route.split()[0], attack, credential)
            await served.memory.drain()
            assert answer.status_code < 500 or route == "GET /readyz", (route, answer.text)
            told[route, number] = Told(answer)
    return told


async def sent(served: Served, method: str, attack: Attack, credential: Mapping[str, str]) -> httpx.Response:
    headers = {**(attack.headers or {}), **credential}
    if attack.content is not None:
        return await served.client.request(method, attack.path, headers=headers, content=attack.content)
    return await served.client.request(method, attack.path, headers=headers, json=attack.body)


CHANGING = re.compile(
    r'"(?:timestamp|seconds|created_at|updated_at|accessed_at|created|completed_at|ticket|id|item_id|cursor'
    r'|uptime\w*|loaded_at|at)":\s*(?:"[^"]*"|\{[^{}]*\}|[0-9.e+-]+|null)'
)
"""What differs from one call to the next, whoever there is: times, and what is made from them."""


class Told:
    """What an answer tells. Two are equal when they differ in nothing but times.

    Attributes:
        whole: All of it.
    """

    def __init__(self, answer: httpx.Response) -> None:
        self.whole = f"{answer.status_code} {answer.headers} {answer.text}"
        self.headers = {
            name: value
            for name, value in answer.headers.items()
            if name in ("content-type", "location") or (name.startswith("x-router-") and not name.endswith("-ms"))
        }
        self.text = CHANGING.sub("", f"{answer.status_code} {answer.text}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told) and (self.text, self.headers) == (other.text, other.headers)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"{self.text} {self.headers}"
