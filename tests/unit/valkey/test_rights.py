"""The doctor's word on rights is what the store meets: each right that is taken away is missed, and nothing is left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from router_memory.types import CheckStatus, Finding, Scope
from tests.contract.samples import memories, query
from tests.faults.stores import opened, store

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

PAGE = (Path(__file__).parents[3] / "docs" / "valkey.md").read_text(encoding="utf-8")
SETUSER = re.search(r"ACL SETUSER router (on >PASSWORD .*?)```", PAGE, re.DOTALL)
assert SETUSER is not None
LEAST = SETUSER[1].split()
LOGIN = {"username": "router", "password": "PASSWORD"}
ALICE = Scope("alice")


@pytest.fixture
def server(own_server: OwnServer) -> Server:
    return own_server(search=True)


async def rights(server: Server, *more: str) -> Finding:
    """What the doctor says for a user with the least rights and these."""
    server.ask("ACL", "SETUSER", "router", "reset", *LEAST, *more)
    target = store([server.address], connection=LOGIN)
    try:
        return next(found for found in await target.examine() if found.name == "rights")
    finally:
        await target.close()


def keys(server: Server) -> list[str]:
    found = server.ask("KEYS", "*")
    assert isinstance(found, list)
    return sorted(map(str, found))


async def test_the_least_rights_suffice(server: Server) -> None:
    """For the store as well as for the doctor, who says what could not be tried."""
    server.ask("ACL", "SETUSER", "router", "reset", *LEAST)
    async with opened([server.address], connection=LOGIN, promote_at=5) as target:
        await target.add(ALICE, memories(ALICE, 20))
        await target.settle()
        assert (await target.candidates(query(ALICE, 1))).candidates
        assert (await target.stats()).users == 1
        await target.forget_scope(ALICE)
        await target.settle()
        bad = [found for found in await target.examine() if found.status is CheckStatus.FAIL]
    assert bad == []
    found = await rights(server)
    assert found.status is CheckStatus.OK
    assert "not tried" in found.finding


async def test_all_is_tried_where_that_is_allowed(server: Server) -> None:
    found = await rights(server, "+acl|whoami", "+acl|dryrun")
    assert found.status is CheckStatus.OK
    assert "user router" in found.finding
    assert "not tried" not in found.finding
    assert keys(server) == []


@pytest.mark.parametrize(
    "command",
    ["hset", "hget", "hmget", "hgetall", "hdel", "exists", "unlink", "zadd", "zrem", "zrange", "eval", "evalsha"],
)
async def test_a_missing_right_is_named(server: Server, command: str) -> None:
    found = await rights(server, f"-{command}")
    assert found.status is CheckStatus.FAIL
    assert command.upper() in found.finding
    assert f"+{command}" in found.advice
    assert keys(server) == []


@pytest.mark.parametrize("command", ["ft.create", "ft.dropindex"])
async def test_a_missing_right_to_indexes_is_named(server: Server, command: str) -> None:
    found = await rights(server, "+acl|whoami", "+acl|dryrun", f"-{command}")
    assert found.status is CheckStatus.FAIL
    assert command.upper() in found.finding


async def test_a_user_who_may_only_read_is_told(server: Server) -> None:
    """A script that changes nothing when there is nothing to change says nothing about writing."""
    async with opened([server.address]) as target:
        await target.add(ALICE, memories(ALICE, 1))
    before = keys(server)
    found = await rights(server, "-@all", "+@read", "+@scripting", "+@connection", "+info", "+ft.search", "+ft.info")
    assert found.status is CheckStatus.FAIL
    assert keys(server) == before


async def test_other_keys_are_told(server: Server) -> None:
    found = await rights(server, "resetkeys", "~other:*")
    assert found.status is CheckStatus.FAIL
    assert "~mem:*" in found.advice


async def test_a_full_server_is_no_lack_of_rights(server: Server) -> None:
    server.ask("CONFIG", "SET", "maxmemory", "1")
    found = await rights(server)
    assert found.status is CheckStatus.FAIL
    assert "out of memory" in found.finding
    assert keys(server) == []
