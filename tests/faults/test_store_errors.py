"""Each way a server can be the wrong one has an error of its own, with the hint an operator needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.errors import BackendError, BackendRejected, BackendUnavailable, IndexMismatch
from router_memory.types import Scope
from tests.contract.samples import DIMENSION, FINGERPRINT, ids, memories, memory, query
from tests.faults.stores import eventually, faults_of, opened, store

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Endpoint, Server

ALICE = Scope("alice")

RIGHTS = "~mem:* +@read +@write +@scripting +@connection +INFO +FT.CREATE +FT.SEARCH +FT.INFO +FT._LIST +FT.DROPINDEX"


async def _used(server: Endpoint, options: dict[str, Any]) -> None:
    async with opened([server.address], **options) as target:
        await target.add(ALICE, [memory(ALICE, 1)])
        await target.candidates(query(ALICE))


async def _refused(server: Endpoint, **options: Any) -> BackendError:
    """What opening a store and storing a memory raises."""
    with pytest.raises(BackendError) as caught:
        await _used(server, options)
    assert str(server.port) in caught.value.message
    return caught.value


# -- rights


@pytest.mark.parametrize("login", [{"password": "hunter-2"}, {"username": "nobody", "password": "hunter-1"}])
async def test_a_wrong_password_is_named(own_server: OwnServer, login: dict[str, str]) -> None:
    """It is no outage: nobody waits for it to pass. The password is not in the text."""
    server = own_server(search=True, config={"requirepass": "hunter-1"})
    error = await _refused(server, connection=login)
    assert isinstance(error, BackendRejected)
    assert "wrong user name or password" in error.message
    assert "password" in error.hint
    assert login["password"] not in str(error)


async def test_a_missing_password_is_named(own_server: OwnServer) -> None:
    """The server asks for one and none is configured."""
    error = await _refused(own_server(search=True, config={"requirepass": "right"}))
    assert isinstance(error, BackendRejected)
    assert "password" in f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    "rights",
    [
        pytest.param(f"{RIGHTS} -FT.SEARCH", id="no FT.SEARCH"),  # +@read gives it as well
        pytest.param(f"{RIGHTS} -FT.CREATE", id="no FT.CREATE"),
        pytest.param(f"{RIGHTS} -FT.INFO", id="no FT.INFO"),
        pytest.param(RIGHTS.replace("+@scripting", ""), id="no scripts"),
        pytest.param(RIGHTS.replace("+@write", ""), id="no writes"),
        pytest.param(RIGHTS.replace("~mem:*", "~other:*"), id="other keys"),
    ],
)
async def test_missing_rights_are_named(own_server: OwnServer, rights: str) -> None:
    """The hint lists what an ACL user needs."""
    server = own_server(search=True, config={"user": f"router on >secret {rights}"})
    error = await _refused(server, connection={"username": "router", "password": "secret"})
    assert isinstance(error, BackendRejected)
    assert "ACL" in error.message
    assert "+FT.CREATE" in error.hint


async def test_the_rights_in_the_hint_are_enough(own_server: OwnServer) -> None:
    """Everything works for a user with just these, graphs and totals included."""
    server = own_server(search=True, config={"user": f"router on >secret {RIGHTS}"})
    login = {"username": "router", "password": "secret"}
    async with opened([server.address], connection=login, promote_at=5) as target:
        await target.add(ALICE, memories(ALICE, 20))
        await target.settle()
        assert len((await target.candidates(query(ALICE, 1, stems=("memory",)))).candidates) == 20
        assert (await target.stats()).memories == 20
        assert len((await target.list(ALICE, limit=7)).records) == 7
        assert await target.forget_scope(ALICE) == 20
        await target.settle()


# -- roles


async def test_a_replica_refuses_writes_and_says_why(own_server: OwnServer) -> None:
    """The configured address has become a replica's; once it is a primary again all goes on."""
    primary, replica = own_server(search=True), own_server(search=True)
    async with opened([replica.address], timeout=2.0) as target:
        await target.add(ALICE, [memory(ALICE, 1)])
        replica.ask("REPLICAOF", *map(str, primary.address))
        with pytest.raises(BackendUnavailable) as caught:
            await target.add(ALICE, [memory(ALICE, 2)])
        assert "replica" in caught.value.message
        assert "primary" in caught.value.hint
        replica.ask("REPLICAOF", "NO", "ONE")

        async def added() -> bool:
            return bool(await target.add(ALICE, [memory(ALICE, 2)]))

        await eventually(added)
        found = await target.candidates(query(ALICE))
        assert memory(ALICE, 2).record.id in {candidate.record.id for candidate in found.candidates}


# -- Search


async def test_a_server_without_search_is_named(own_server: OwnServer) -> None:
    """The hint says how to start one that has it; nothing is left on the server."""
    server = own_server()
    error = await _refused(server)
    assert isinstance(error, BackendRejected)
    assert "Search module is not loaded" in error.message
    assert "valkey-bundle" in error.hint
    assert server.ask("DBSIZE") == 0


async def test_an_index_of_somebody_else_is_not_touched(own_server: OwnServer) -> None:
    """One of our name over other fields is refused; the error names it, and it stays."""
    server = own_server(search=True)
    server.ask("FT.CREATE", "mem_idx", "ON", "HASH", "PREFIX", "1", "doc:", "SCHEMA", "title", "TAG")
    error = await _refused(server)
    assert isinstance(error, BackendRejected | IndexMismatch)
    assert "mem_idx" in str(error)
    assert "index_name" in error.hint
    assert server.ask("FT._LIST") == [b"mem_idx"]


async def test_a_key_of_somebody_else_is_not_touched(own_server: OwnServer) -> None:
    """Where the schema should stand there is something else."""
    server = own_server(search=True)
    server.ask("HSET", "mem:schema", "title", "theirs")
    error = await _refused(server)
    assert isinstance(error, BackendRejected)
    assert "mem:schema" in error.message
    assert "collection_prefix" in error.hint
    server.ask("DEL", "mem:schema")
    server.ask("SET", "mem:schema", "theirs")
    error = await _refused(server)
    assert isinstance(error, BackendRejected)
    assert server.ask("GET", "mem:schema") == b"theirs"


# -- mismatches


@pytest.mark.parametrize(
    ("other", "named", "mend"),
    [
        ({"dimension": 8}, ["dimension", "16", "8"], "collection_prefix"),
        ({"fingerprint": "other/16/x"}, [FINGERPRINT, "other/16/x"], "router-memory export"),
        ({"metric": "L2"}, ["metric_type", "COSINE", "L2"], "FT.DROPINDEX mem_idx"),
        ({"index_type": "hnsw"}, ["index_type", "FLAT", "HNSW"], "FT.DROPINDEX mem_idx"),
        ({"prefix": "other:"}, ["mem:", "other:"], "index_name"),
    ],
    ids=["dimension", "embedder", "metric", "index type", "prefix"],
)
async def test_another_configuration_is_refused(
    own_server: OwnServer, other: dict[str, Any], named: list[str], mend: str
) -> None:
    """Reference defect 10: the message says what differs, the hint the command that mends it. Nothing is changed."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(ALICE, memories(ALICE, 3))
    error = await _refused(server, **other)
    assert isinstance(error, IndexMismatch)
    assert error.expected != error.found
    for word in named:
        assert word in error.message
    assert mend in error.hint
    async with opened([server.address]) as target:
        assert len((await target.candidates(query(ALICE))).candidates) == 3
    assert faults_of(server) == []


async def test_the_command_in_the_hint_mends_it(own_server: OwnServer) -> None:
    """Dropping the index keeps the memories; the next open indexes them as configured."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(ALICE, memories(ALICE, 30))
    error = await _refused(server, metric="IP", index_type="hnsw")
    command = error.hint.rpartition("valkey-cli ")[2].split()
    assert command[:6] == ["-h", server.host, "-p", str(server.port), "-n", "0"]
    server.ask(*command[6:])
    async with opened([server.address], metric="IP", index_type="hnsw") as target:

        async def whole() -> bool:
            result = await target.candidates(query(ALICE))
            return {found.record.id for found in result.candidates} == set(ids(memories(ALICE, 30)))

        await eventually(whole)


async def test_data_of_another_version_are_refused(own_server: OwnServer) -> None:
    """A later layout is not read with an older program."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(ALICE, memories(ALICE, 3))
    server.ask("HSET", "mem:schema", "version", "2")
    error = await _refused(server)
    assert isinstance(error, IndexMismatch)
    assert (error.expected, error.found) == ("1", "2")
    assert "version" in error.hint


async def test_two_configurations_that_start_at_once_do_not_mix(own_server: OwnServer) -> None:
    """One of two embedders wins the empty server; the other one is told, and none of its vectors is stored."""
    server = own_server(search=True)
    stores = [store([server.address], fingerprint=f"model-{number}/{DIMENSION}/x") for number in range(6)]
    outcomes = await asyncio.gather(*(each.open() for each in stores), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, IndexMismatch)]
    assert len(refused) == 5
    for each, outcome in zip(stores, outcomes, strict=True):
        if outcome is not None:
            with pytest.raises(IndexMismatch):
                await each.add(ALICE, [memory(ALICE, 1)])
    await asyncio.gather(*(each.close() for each in stores))


# -- damage


@pytest.mark.parametrize(
    "harm",
    [
        ("HSET", "memory", "no JSON"),
        ("HSET", "memory", "[]\0[]"),
        ("HSET", "memory", b"\xff\xfe"),
        ("HSET", "state", "x"),
        ("HSET", "state", "semantic x 1 1 -"),
        ("HDEL", "state"),
    ],
    ids=["no JSON", "empty", "no text", "one word", "no number", "no state"],
)
async def test_a_damaged_memory_is_reported_and_can_be_forgotten(
    own_server: OwnServer, harm: tuple[str | bytes, ...]
) -> None:
    """Something else wrote into it: a typed error without what it says, and the other users do not notice."""
    server = own_server(search=True)
    bob = Scope("bob")
    async with opened([server.address]) as target:
        await target.add(ALICE, [memory(ALICE, 1)])
        await target.add(bob, memories(bob, 3))
        name = memory(ALICE, 1).record.id
        command, *rest = harm
        server.ask(command, f"mem:{{{ALICE.user_digest}}}:{name}", *rest)
        for call in (target.get(ALICE, name), target.list(ALICE), target.candidates(query(ALICE))):
            with pytest.raises(BackendRejected, match="damaged") as caught:
                await call
            assert "no JSON" not in str(caught.value)
        assert len((await target.candidates(query(bob))).candidates) == 3
        await _try_to_forget(target, name, server)


async def _try_to_forget(target: Any, name: str, server: Server) -> None:
    """Deleting what is damaged works, or is refused without having deleted a part."""
    try:
        assert await target.forget(ALICE, [name]) == 1
    except BackendError:
        assert server.ask("EXISTS", f"mem:{{{ALICE.user_digest}}}:{name}") == 1
