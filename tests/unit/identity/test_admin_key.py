"""The operators' key: it opens the operators' routes, and names any user."""

from __future__ import annotations

from pathlib import Path

import pytest

from router_memory.errors import ConfigError, NotAuthenticated
from router_memory.identity import Authenticator, Caller
from tests.unit.identity.support import USER, ask, bearer, config

KEY = "an-admin-key-of-some-length"
AUTHENTICATOR = Authenticator.of(config({"admin_key": KEY}))


@pytest.mark.parametrize(("headers", "credential"), [(bearer(KEY), "authorization"), ({"x-api-key": KEY}, "x-api-key")])
def test_the_key_makes_an_admin_in_either_header(headers: dict[str, str], credential: str) -> None:
    assert ask(AUTHENTICATOR, headers) == Caller(None, admin=True, how="admin_key", credential=credential)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_the_scheme_has_no_case(scheme: str) -> None:
    assert ask(AUTHENTICATOR, {"authorization": f"{scheme} {KEY}"}).admin


def test_an_admin_may_name_any_user() -> None:
    assert ask(AUTHENTICATOR, {**bearer(KEY), USER: "alice"}).user_id == "alice"


def test_an_admin_names_one_user() -> None:
    with pytest.raises(NotAuthenticated):
        ask(AUTHENTICATOR, {**bearer(KEY), USER: ["alice", "bob"]})


def test_an_admin_may_name_a_user_from_any_peer() -> None:
    authenticator = Authenticator.of(config({"admin_key": KEY, "trusted_peers": ["10.0.0.0/8"]}))
    assert ask(authenticator, {**bearer(KEY), USER: "alice"}, peer="192.0.2.1").user_id == "alice"


@pytest.mark.parametrize("wrong", [KEY[:-1], KEY + "x", KEY.upper(), "", f"{KEY} {KEY}", f"{KEY},", f"Bearer {KEY}"])
def test_any_other_key_makes_no_admin(wrong: str) -> None:
    assert ask(AUTHENTICATOR, bearer(wrong)) == Caller(None)
    assert ask(AUTHENTICATOR, {"x-api-key": wrong}) == Caller(None)


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer\t", "BearerBearer"])
def test_the_key_under_another_scheme_makes_no_admin(scheme: str) -> None:
    assert not ask(AUTHENTICATOR, {"authorization": f"{scheme} {KEY}"}).admin


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_two_credentials_in_one_kind_of_header_are_refused(name: str) -> None:
    with pytest.raises(NotAuthenticated, match="more than one"):
        ask(AUTHENTICATOR, {name: [f"Bearer {KEY}", "Bearer sk-other"]})


def test_the_key_in_one_header_and_the_upstreams_in_the_other_is_no_contradiction() -> None:
    assert ask(AUTHENTICATOR, {"x-api-key": KEY, **bearer("sk-up")}).credential == "x-api-key"
    assert ask(AUTHENTICATOR, {"x-api-key": "sk-up", **bearer(KEY)}).credential == "authorization"


def test_the_key_in_both_headers_is_refused_lest_one_is_passed_on() -> None:
    with pytest.raises(NotAuthenticated, match="two credentials"):
        ask(AUTHENTICATOR, {"x-api-key": KEY, **bearer(KEY)})


def test_the_key_is_in_no_error() -> None:
    with pytest.raises(NotAuthenticated) as caught:
        ask(AUTHENTICATOR, {"authorization": [f"Bearer {KEY}", "Bearer other"]})
    assert KEY not in str(caught.value)


def test_without_a_key_nobody_is_an_admin() -> None:
    authenticator = Authenticator.of(config())
    for secret in ("", "None", "admin"):
        assert not ask(authenticator, {**bearer(secret), "x-api-key": secret}).admin


def test_the_key_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "admin").write_text(KEY + "\n", encoding="utf-8")
    authenticator = Authenticator.of(config({"admin_key_file": str(tmp_path / "admin")}))
    assert ask(authenticator, bearer(KEY)).admin


@pytest.mark.parametrize(
    ("content", "message"), [("", "empty"), ("two words", "printable ASCII"), ("schlüssel", "printable ASCII")]
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """An empty one above all: it must not mean that no key is needed."""
    (tmp_path / "admin").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        Authenticator.of(config({"admin_key_file": str(tmp_path / "admin")}))
    assert caught.value.key_path.endswith("admin_key_file")
    assert not content or content not in str(caught.value)


def test_the_file_is_read_when_the_authenticator_is_made_and_not_again(tmp_path: Path) -> None:
    file = tmp_path / "admin"
    file.write_text(KEY, encoding="utf-8")
    found = config({"admin_key_file": str(file)})
    before = Authenticator.of(found)
    file.write_text("another-key-of-some-length", encoding="utf-8")
    after = Authenticator.of(found)
    assert [ask(each, bearer(KEY)).admin for each in (before, after)] == [True, False]
