"""The mode `api_key`: a file of digests says for whom each key stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from router_memory.errors import ConfigError, NotAuthenticated
from router_memory.identity import Authenticator, Caller
from tests.unit.identity.support import USER, ask, bearer, config, digest, jwk, jwt_auth, key_file, rsa_key, token

ADMIN = "an-admin-key-of-some-length"
ENTRIES: list[dict[str, Any]] = [
    {"key": "one", "users": ["alice"], "name": "report"},
    {"key": "two", "users": ["alice", "bob"]},
    {"key": "any", "users": ["*"]},
    {"key": "ops", "admin": True},
    {"key": "ops-of-alice", "users": ["alice"], "admin": True},
    {"key": "old", "users": ["alice"], "expires": "2020-01-01"},
    {"key": "lasting", "users": ["alice"], "expires": "2030-01-01T01:00:00+01:00"},
]
NEW_YEAR_2030 = 1_893_456_000.0


@pytest.fixture(scope="module")
def authenticator(tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
    return made(tmp_path_factory.mktemp("keys"), admin_key=ADMIN)


def made(folder: Path, *entries: Mapping[str, Any], now: float = 1_700_000_000.0, **auth: Any) -> Authenticator:
    path = key_file(folder, *(entries or ENTRIES))
    return Authenticator.of(config({"modes": ["api_key"], "api_keys_file": path, **auth}), clock=lambda: now)


def refusal(folder: Path, *entries: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        made(folder, *entries)
    assert caught.value.file == str(folder / "keys.json")
    return caught.value


def test_a_key_of_one_user_names_the_user(authenticator: Authenticator) -> None:
    assert ask(authenticator, bearer("one")) == Caller("alice", how="api_key", credential="authorization")
    assert ask(authenticator, {"x-api-key": "one"}) == Caller("alice", how="api_key", credential="x-api-key")


@pytest.mark.parametrize(
    ("key", "named", "user"),
    [
        ("one", "alice", "alice"),
        ("two", "bob", "bob"),
        ("two", "", None),
        ("any", "carol", "carol"),
        ("any", "", None),
        ("any", "*", "*"),
        ("ops", "carol", "carol"),
        ("ops", "", None),
        ("ops-of-alice", "", "alice"),
        ("ops-of-alice", "carol", "carol"),
    ],
)
def test_the_user_header_chooses_among_the_users_of_a_key(
    authenticator: Authenticator, key: str, named: str, user: str | None
) -> None:
    found = ask(authenticator, {**bearer(key), USER: named})
    assert (found.user_id, found.how, found.admin) == (user, "api_key", key.startswith("ops"))


@pytest.mark.parametrize("key", ["two", "any", "ops"])
def test_a_key_of_several_users_without_the_header_names_nobody(authenticator: Authenticator, key: str) -> None:
    assert ask(authenticator, bearer(key)).user_id is None


@pytest.mark.parametrize(("key", "named"), [("one", "bob"), ("two", "carol"), ("two", "Alice"), ("two", "alice,bob")])
def test_a_user_whom_the_key_does_not_stand_for_is_refused(authenticator: Authenticator, key: str, named: str) -> None:
    with pytest.raises(NotAuthenticated, match="does not stand for"):
        ask(authenticator, {**bearer(key), USER: named})


def test_a_user_header_with_two_values_is_refused(authenticator: Authenticator) -> None:
    with pytest.raises(NotAuthenticated):
        ask(authenticator, {**bearer("two"), USER: ["alice", "bob"]})


def test_the_user_header_alone_counts_for_nothing(authenticator: Authenticator) -> None:
    assert ask(authenticator, {USER: "alice"}) == Caller(None)


@pytest.mark.parametrize(
    "headers",
    [
        bearer("unknown"),
        {"x-api-key": "unknown"},
        bearer("*"),
        bearer(digest("one")),
        bearer("ONE"),
        bearer("one two"),
        {"authorization": "one"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Basic b25lOg=="},
        {"authorization": "Bearer one, Bearer two"},
        {"authorization": ["Bearer one", "Bearer two"]},
        {"authorization": ["Bearer one", "Basic b25l"]},
        {"x-api-key": ["one", "two"]},
        {"x-api-key": b"\xff\xfe"},
        {"x-api-key": "unknown", **bearer("one")},
        {"x-api-key": "one", **bearer("one")},
        {"x-api-key": "one", **bearer("two")},
        {"x-api-key": "one", **bearer(ADMIN)},
        {"x-api-key": ADMIN, **bearer("one")},
    ],
)
def test_an_unknown_key_or_two_credentials_are_refused(
    authenticator: Authenticator, headers: dict[str, str | bytes | list[str]]
) -> None:
    """Also beside a user header: it must not win by default."""
    for user in ({}, {USER: "alice"}):
        with pytest.raises(NotAuthenticated):
            ask(authenticator, {**headers, **user})


@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}, {"authorization": ""}, {"x-api-key": " "}])
def test_no_credential_is_anonymous(authenticator: Authenticator, headers: dict[str, str]) -> None:
    assert ask(authenticator, headers) == Caller(None)


def test_what_is_in_authorization_may_be_for_the_upstream_when_the_key_is_in_the_other_header(
    authenticator: Authenticator,
) -> None:
    found = ask(authenticator, {"x-api-key": "one", **bearer("sk-of-the-upstream")})
    assert (found.user_id, found.credential) == ("alice", "x-api-key")


def test_the_operators_key_counts_beside_the_file(authenticator: Authenticator) -> None:
    for headers in (bearer(ADMIN), {"x-api-key": ADMIN}):
        found = ask(authenticator, {**headers, USER: "bob"})
        assert (found.user_id, found.admin, found.how) == ("bob", True, "admin_key")


def test_an_expired_key_is_refused(authenticator: Authenticator) -> None:
    with pytest.raises(NotAuthenticated, match="expired"):
        ask(authenticator, bearer("old"))


@pytest.mark.parametrize(("now", "holds"), [(NEW_YEAR_2030 - 1, True), (NEW_YEAR_2030, False)])
def test_a_key_ends_at_its_moment(tmp_path: Path, now: float, holds: bool) -> None:
    authenticator = made(tmp_path, now=now)
    if holds:
        assert ask(authenticator, bearer("lasting")).user_id == "alice"
    else:
        with pytest.raises(NotAuthenticated, match="expired"):
            ask(authenticator, bearer("lasting"))


def test_a_key_beside_the_gateways_header(tmp_path: Path) -> None:
    authenticator = made(tmp_path, modes=["header", "api_key"], trusted_peers=["10.0.0.0/8"])
    assert ask(authenticator, {USER: "bob"}, peer="10.0.0.1").how == "header"
    assert ask(authenticator, {USER: "bob"}, peer="192.0.2.1") == Caller(None)
    assert ask(authenticator, bearer("one"), peer="192.0.2.1").user_id == "alice"
    with pytest.raises(NotAuthenticated):
        ask(authenticator, {USER: "bob", **bearer("one")}, peer="10.0.0.1")
    with pytest.raises(NotAuthenticated):
        ask(authenticator, {USER: "bob", **bearer("unknown")}, peer="10.0.0.1")


def test_more_than_one_word_after_bearer_is_no_key(tmp_path: Path) -> None:
    authenticator = made(tmp_path, {"key": "two words", "users": ["alice"]})
    with pytest.raises(NotAuthenticated):
        ask(authenticator, bearer("two words"))


def test_keys_and_tokens_side_by_side(tmp_path: Path) -> None:
    auth = jwt_auth(tmp_path, jwk(rsa_key()))
    authenticator = made(tmp_path, **{**auth, "modes": ["jwt", "api_key"]})
    assert ask(authenticator, bearer(token())).how == "jwt"
    assert ask(authenticator, bearer("one")).how == "api_key"
    assert ask(authenticator, {"x-api-key": "one"}).how == "api_key"
    with pytest.raises(NotAuthenticated, match="two credentials"):
        ask(authenticator, {"x-api-key": "one", **bearer(token())})


def test_the_file_may_be_yaml(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(
        f"- key_sha256: {digest('one').upper()}\n  users: [alice]\n  expires: 2031-01-01\n", encoding="utf-8"
    )
    authenticator = Authenticator.of(config({"modes": ["api_key"], "api_keys_file": str(path)}))
    assert ask(authenticator, bearer("one")).user_id == "alice"


def test_json_may_have_tabs(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([{"key_sha256": digest("one"), "users": ["alice"]}], indent="\t"), encoding="utf-8")
    assert ask(Authenticator.of(config({"modes": ["api_key"], "api_keys_file": str(path)})), bearer("one")).user_id


@pytest.mark.parametrize("name", ["keys.json", "keys.yaml"])
@pytest.mark.parametrize("content", ["", "{}", "null", "just text", "[", '"text"', "[" * 5000, "a: &x [*x", "\0"])
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Authenticator.of(config({"modes": ["api_key"], "api_keys_file": str(path)}))
    assert caught.value.file == str(path)


def test_an_empty_list_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("[]", encoding="utf-8")
    authenticator = Authenticator.of(config({"modes": ["api_key"], "api_keys_file": str(path)}))
    with pytest.raises(NotAuthenticated):
        ask(authenticator, bearer("one"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        Authenticator.of(config({"modes": ["api_key"], "api_keys_file": str(tmp_path / "none")}))
    assert caught.value.key_path.endswith("service.auth.api_keys_file")


GOOD = {"key": "good", "users": ["alice"]}


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"users": ["alice"]}, "key_sha256"),
        ({"key_sha256": "the-key-itself", "users": ["alice"]}, "key_sha256"),
        ({"key_sha256": digest("x")[:-1], "users": ["alice"]}, "key_sha256"),
        ({"key_sha256": digest("x") + "\n", "users": ["alice"]}, "key_sha256"),
        ({"key_sha256": 5, "users": ["alice"]}, "key_sha256"),
        ({"key": "", "users": ["alice"]}, "key_sha256"),
        ({"key": "good", "users": ["bob"]}, "key_sha256"),
        ({"key": "x"}, "users"),
        ({"key": "x", "users": []}, "users"),
        ({"key": "x", "users": "alice"}, "users"),
        ({"key": "x", "users": ["*", "alice"]}, "users[0]"),
        ({"key": "x", "users": ["alice", ""]}, "users[1]"),
        ({"key": "x", "users": [5]}, "users[0]"),
        ({"key": "x", "users": ["a" * 65_537]}, "users[0]"),
        ({"key": "x", "users": ["alice"], "admin": "yes"}, "admin"),
        ({"key": "x", "users": ["alice"], "expires": "soon"}, "expires"),
        ({"key": "x", "users": ["alice"], "expires": "2030-01-01T00:00:00"}, "expires"),
        ({"key": "x", "users": ["alice"], "expires": 2030}, "expires"),
        ({"key": "x", "users": ["alice"], "expire": "2030-01-01"}, "expire"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_place(tmp_path: Path, entry: dict[str, Any], place: str) -> None:
    assert refusal(tmp_path, GOOD, entry).key_path == f"[1].{place}"


@pytest.mark.parametrize("entry", ["text", 5, None, [], ["key"]])
def test_an_entry_that_is_no_mapping_is_refused(tmp_path: Path, entry: Any) -> None:
    (tmp_path / "keys.json").write_text(json.dumps([entry]), encoding="utf-8")
    with pytest.raises(ConfigError, match="must be a mapping"):
        Authenticator.of(config({"modes": ["api_key"], "api_keys_file": str(tmp_path / "keys.json")}))


@pytest.mark.parametrize("name", ["keys.json", "keys.yaml"])
def test_a_member_that_stands_twice_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(f'[{{"key_sha256": "{digest("a")}", "users": ["alice"], "users": ["*"]}}]', encoding="utf-8")
    with pytest.raises(ConfigError, match="twice"):
        Authenticator.of(config({"modes": ["api_key"], "api_keys_file": str(path)}))


def test_what_stands_in_place_of_the_digest_is_in_no_error(tmp_path: Path) -> None:
    """Somebody will write the key itself there."""
    for entry in ({"key_sha256": "hunter2-and-more"}, {"key_sha256": ["hunter2-and-more"]}):
        assert "hunter2" not in str(refusal(tmp_path, {**entry, "users": ["alice"]}))
