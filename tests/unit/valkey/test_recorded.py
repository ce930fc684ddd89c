"""The store on recorded replies: every command as it was, every answer read right, without a server."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from router_memory.backends.valkey import Connection, ValkeyStore
from router_memory.backends.valkey.damage import Foreign
from router_memory.backends.valkey.schema import for_cluster, parse_info
from router_memory.backends.valkey.translate import IndexExists, IndexMissing, NotPrimary, translated
from router_memory.errors import BackendRejected
from router_memory.types import CandidateSet, MemoryType, Scope, WriteStatus
from tests.contract.samples import DIMENSION, FINGERPRINT, START, memory
from tests.recorded.form import Replayed, decode, load
from tests.recorded.record import NAMES, act

RECORDED = load()
HOME = Scope("alice", "home")

VARIANTS: dict[str, dict[str, Any]] = {
    "flat": {},
    "hnsw": {"metric": "L2", "index_type": "hnsw"},
    "cluster": {"metric": "IP"},
}


def _ids(answer: Any) -> set[str]:
    assert isinstance(answer, CandidateSet)
    return {found.record.id for found in answer.candidates}


@pytest.mark.parametrize("variant", VARIANTS)
async def test_the_same_calls_send_the_same_commands(variant: str) -> None:
    """And what the server replied means what was stored. A change here needs a new recording, and maybe a version."""
    replayed = Replayed(RECORDED[variant], cluster=variant == "cluster")
    store = ValkeyStore(
        cast("Connection", replayed), dimension=DIMENSION, fingerprint=FINGERPRINT, **NAMES, **VARIANTS[variant]
    )
    answers = await act(store)
    assert replayed.left == 0
    one, two, three = (memory(HOME, 1).record.id, memory(HOME, 2).record.id, memory(Scope("alice"), 3).record.id)
    nothing, added, also, updated, *searches = answers[:9]
    assert nothing == CandidateSet("", ())
    assert (added, also) == ([WriteStatus.STORED] * 2, [WriteStatus.STORED])
    assert (updated.content, updated.importance) == (memory(HOME, 4).record.content, 0.75)
    assert [_ids(answer) for answer in searches] == [{one, two, three}, {one, two, three}, {two}, {three}, set()]
    long = next(found for found in searches[0].candidates if found.record.id == two)
    assert (long.parts, long.record.type, long.record.scope) == (3, MemoryType.EPISODIC, HOME)
    assert all(answer.exact is (variant != "hnsw") for answer in searches[:3])
    statistics, page, got, there, count, forgotten, rest, left = answers[9:]
    assert (statistics.documents, dict(statistics.frequency)) == (3, {"tea": 1, "pot": 1})
    assert ([record.id for record in page.records], page.total) == ([three, two], 3)
    assert page.cursor is not None
    assert (got.id, got.access_count, got.accessed_at) == (one, 1, START)
    assert (there, count, forgotten, rest, left) == (frozenset({one}), 3, 1, 2, 0)


@pytest.mark.parametrize(
    "said", [["TimeoutError", "timed out"], ["RequestError", "Unable to contact all cluster members"]]
)
async def test_nodes_that_do_not_agree_on_an_index_in_time_may_have_it(said: list[str]) -> None:
    """A coordinator waits for all nodes to have the version of this very call, which a later call has replaced."""
    calls = [
        [call, {"e": said} if call[0] == "command" and call[1][0][0] == "FT.CREATE" else reply]
        for call, reply in RECORDED["cluster"]
    ]
    assert sum(call[0] == "command" and call[1][0][0] == "FT.CREATE" for call, _ in calls) == 1
    replayed = Replayed(calls, cluster=True)
    store = ValkeyStore(
        cast("Connection", replayed), dimension=DIMENSION, fingerprint=FINGERPRINT, **NAMES, **VARIANTS["cluster"]
    )
    await act(store)
    assert replayed.left == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_recorded_search_is_without_its_user(variant: str) -> None:
    """Every FT.SEARCH that was sent names the user's digest, and no command holds a raw id or stem in its query."""
    text = json.dumps(RECORDED[variant])
    searches = [call for call in _commands(RECORDED[variant]) if call[0] == "FT.SEARCH"]
    assert len(searches) >= 5
    owners = {f"@user:{{{Scope(name).user_digest}}}" for name in ("alice", "bob")}
    for search in searches:
        assert any(owner in search[2] for owner in owners)
        assert "alice" not in search[2]
        assert "tea" not in search[2]
        assert ("LOCALONLY" in search) == (variant == "cluster")
    assert "rec_idx" in text


def _commands(calls: list[Any]) -> list[Any]:
    return [command for (method, args), _ in calls if method == "pipeline" for command in args[0]]


# -- FT.INFO


@pytest.mark.parametrize(
    ("name", "algorithm", "metric"),
    [("flat", "FLAT", "COSINE"), ("hnsw", "HNSW", "L2"), ("promoted", "HNSW", "IP")],
)
def test_the_state_of_an_index_is_read(name: str, algorithm: str, metric: str) -> None:
    """Of each kind."""
    info = parse_info(decode(RECORDED["infos"][name]))
    assert (info.algorithm, info.metric, info.dimension) == (algorithm, metric, DIMENSION)
    assert info.prefixes == (("p:{x}",) if name == "promoted" else (f"{name}:{{",))
    assert info.failures == 0


def test_an_index_that_fills_is_not_ready() -> None:
    """The percentage may be anything."""
    info = parse_info(decode(RECORDED["infos"]["filling"]))
    assert not info.ready
    assert 0.0 <= info.progress <= 1.0


def test_an_index_with_waiting_writes_is_not_ready() -> None:
    """Whatever its state says: the percentage can read 1.0 early."""
    raw = decode(RECORDED["infos"]["flat"])
    raw = dict(zip(raw[::2], raw[1::2], strict=True)) if isinstance(raw, list) else raw
    assert parse_info(raw | {b"state": b"ready", b"mutation_queue_size": b"0"}).ready
    assert not parse_info(raw | {b"state": b"ready", b"mutation_queue_size": b"3"}).ready


def test_an_index_of_somebody_else_is_told_apart() -> None:
    """It has no vector field of ours."""
    with pytest.raises(Foreign, match="foreign"):
        parse_info(decode(RECORDED["infos"]["foreign"]))


@pytest.mark.parametrize("reply", [None, 7, b"OK", [], {}, [b"index_name"], {b"attributes": 3}, [[b"x"]]])
def test_what_is_no_index_is_foreign(reply: object) -> None:
    """Nothing but the typed error."""
    with pytest.raises(Foreign):
        parse_info(reply)


def test_a_cluster_is_as_ready_as_its_slowest_node() -> None:
    """Documents are summed over the primaries."""
    one, primary, progress = (decode(RECORDED["cluster infos"][name]) for name in ("one", "primary", "cluster"))
    done = _mapped(progress) | {b"state": b"ready", b"backfill_complete_percent_min": b"1.0"}
    ready = parse_info(_mapped(one) | {b"state": b"ready", b"mutation_queue_size": b"0"})
    info = for_cluster(ready, primary, done)
    assert info.documents == 0
    assert info.ready
    slow = _mapped(progress) | {b"state": b"backfill_in_progress", b"backfill_complete_percent_min": b"0.25"}
    filling = for_cluster(parse_info(one), primary, slow)
    assert (filling.ready, filling.progress) == (False, 0.25)


def _mapped(reply: Any) -> dict[Any, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True)) if isinstance(reply, list) else dict(reply)


# -- errors


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("missing index", IndexMissing),
        ("missing info", IndexMissing),
        ("index exists", IndexExists),
        ("syntax", BackendRejected),
        ("timeout", BackendRejected),
        ("wrong type", BackendRejected),
        ("script", BackendRejected),
        ("out of memory", BackendRejected),
        ("search out of memory", BackendRejected),
        ("replica", NotPrimary),
    ],
)
def test_refusals_have_their_meaning(name: str, kind: type[Exception]) -> None:
    """As glide words them; a text is no contract, so what it means is fixed here."""
    error = translated(decode(RECORDED["errors"][name]), "test", "host:1/0")
    assert type(error) is kind
    assert "host:1/0" in error.message
    assert "out of memory" not in name or "maxmemory" in error.hint


def test_everything_was_recorded_on_a_server_that_is_named() -> None:
    """The versions stand in the file."""
    assert "valkey_version:" in RECORDED["versions"]
    assert "name=search" in RECORDED["versions"]
