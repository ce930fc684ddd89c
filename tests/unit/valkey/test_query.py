"""FT.SEARCH commands: the exact text, never without a user, digests alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.query import (
    MOST_STEMS,
    Knn,
    Options,
    matching,
    nearest,
    owned_by,
    stem_groups,
    with_stems,
)
from router_memory.types import MemoryType, Scope

ALICE, HOME = Scope("alice"), Scope("alice", "home")
NO_TYPES: frozenset[MemoryType] = frozenset()
OPTIONS = Options(timeout_ms=250)

_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda text: text.strip())


def test_a_search_by_vector() -> None:
    """FLAT: no EF_RUNTIME; LIMIT is always sent, for its default is 10; nothing partial is taken."""
    command = nearest("mem_idx", owned_by(ALICE, NO_TYPES), Knn(50, b"v"), OPTIONS)
    text = f"(@user:{{{ALICE.user_digest}}})=>[KNN 50 @embedding $v AS distance]"
    assert command[:3] == ("FT.SEARCH", "mem_idx", text)
    assert _option(command, "LIMIT", 2) == ("0", "50")
    assert _option(command, "TIMEOUT") == ("250",)
    assert _option(command, "PARAMS", 3) == ("2", "v", b"v")
    assert _option(command, "DIALECT") == ("2",)
    assert "ALLSHARDS" in command
    assert "LOCALONLY" not in command
    count = int(str(_option(command, "RETURN")[0]))
    assert _option(command, "RETURN", 1 + count)[-1] == "distance"


def test_a_search_in_a_graph_says_how_broadly() -> None:
    """EF_RUNTIME defaults to 10, which misses neighbours."""
    command = nearest("mem_idx{x}", "*", Knn(7, b"v", ef=200), Options(timeout_ms=1, local=True))
    assert command[2] == "*=>[KNN 7 @embedding $v EF_RUNTIME 200 AS distance]"
    assert "LOCALONLY" in command


def test_a_search_by_stems() -> None:
    """Tags in one pair of braces, each a digest of user and stem."""
    keys = Keys.of("mem:", ALICE)
    where = with_stems(keys, owned_by(ALICE, NO_TYPES), ["tea", "pot"])
    tea, pot = keys.stem_tags(["tea", "pot"])
    assert where == f"@user:{{{ALICE.user_digest}}} @stems:{{{tea}|{pot}}}"
    command = matching("mem_idx", where, 400, OPTIONS)
    assert command[2] == where
    assert _option(command, "LIMIT", 2) == ("0", "400")
    assert "PARAMS" not in command


def test_a_filter_names_project_and_types() -> None:
    """In a fixed order, so that equal questions are equal commands."""
    where = owned_by(HOME, frozenset({MemoryType.SEMANTIC, MemoryType.EPISODIC}))
    assert where == f"@user:{{{HOME.user_digest}}} @project:{{{HOME.project_digest}}} @type:{{episodic|semantic}}"


@given(user=_ids, project=st.none() | _ids, stems=st.lists(_ids, max_size=5))
def test_nothing_but_digests_enters_a_query(user: str, project: str | None, stems: list[str]) -> None:
    """Whatever ids and stems hold, the query has its fixed form; reference defect 1."""
    scope = Scope(user, project)
    keys = Keys.of("mem:", scope)
    where = owned_by(scope, NO_TYPES)
    text = with_stems(keys, where, stems) if stems else where
    form = r"@user:\{[0-9a-f]{32}\}( @project:\{[0-9a-f]{32}\})?( @stems:\{[A-Za-z0-9_|-]+\})?"
    assert re.fullmatch(form, text)
    assert text.startswith(f"@user:{{{scope.user_digest}}}")


@given(first=_ids, second=_ids)
def test_different_users_have_different_filters_and_tags(first: str, second: str) -> None:
    """Case, blanks and normal forms are part of an id, and a stem of one user is not a stem of another."""
    if first == second:
        return
    one, other = Scope(first), Scope(second)
    assert owned_by(one, NO_TYPES) != owned_by(other, NO_TYPES)
    assert Keys.of("m:", one).stem_tags(["tea"]) != Keys.of("m:", other).stem_tags(["tea"])
    assert Keys.of("m:", one).stem_tags([first]) != Keys.of("m:", one).stem_tags([second])


@pytest.mark.parametrize("count", [0, 1, MOST_STEMS, MOST_STEMS + 1, 5 * MOST_STEMS])
def test_many_stems_are_asked_for_in_groups(count: int) -> None:
    """Each stays below the module's 10,240 bytes and 1,000 terms; none is left out."""
    stems = [f"stem {number}" for number in range(count)]
    groups = list(stem_groups(stems))
    assert [stem for group in groups for stem in group] == stems
    keys = Keys.of("mem:", HOME)
    for group in groups:
        where = with_stems(keys, owned_by(HOME, frozenset(MemoryType)), group)
        command = nearest("mem_idx", where, Knn(10_000, b"v", ef=4_096), OPTIONS)
        assert len(str(command[2]).encode()) < 10_240
        assert str(command[2]).count("|") < 1_000


@given(user=_ids, id=_ids, number=st.integers(1, 99))
def test_a_key_gives_its_id_back_to_its_user_alone(user: str, id: str, number: int) -> None:
    """Whatever the id holds, of a memory and of its further vectors."""
    keys, other = Keys.of("mem:", Scope(user)), Keys.of("mem:", Scope(user + "x"))
    assert keys.id_of(keys.record(id)) == id
    assert keys.id_of(f"{keys.base}#{number}:{id}") == id
    assert other.id_of(keys.record(id)) is None
    assert keys.id_of(keys.meta) is None
    assert keys.id_of(keys.order) is None


def _option(command: tuple[Any, ...], name: str, count: int = 1) -> tuple[Any, ...]:
    at = command.index(name) + 1
    return command[at : at + count]
