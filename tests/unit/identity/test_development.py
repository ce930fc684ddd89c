"""The mode `development`: anybody for whoever works at this machine, nobody for a page from elsewhere."""

from __future__ import annotations

import pytest

from router_memory.errors import NotAuthenticated
from router_memory.identity import Authenticator, Caller
from tests.unit.identity.support import USER, ask, bearer, config

AUTHENTICATOR = Authenticator.of(config({"modes": ["development"]}))
HERE = {"host": "localhost:8080"}


def test_everybody_is_an_admin() -> None:
    assert ask(AUTHENTICATOR, HERE) == Caller(None, admin=True, how="development")


def test_the_query_or_the_header_names_the_user() -> None:
    assert ask(AUTHENTICATOR, HERE, query=b"user_id=alice&limit=5").user_id == "alice"
    assert ask(AUTHENTICATOR, {**HERE, USER: "alice"}).user_id == "alice"
    assert ask(AUTHENTICATOR, {**HERE, USER: "alice"}, query=b"user_id=alice").user_id == "alice"


def test_the_query_is_decoded() -> None:
    assert ask(AUTHENTICATOR, HERE, query=b"user_id=zo%C3%AB+%26%20b").user_id == "zoë & b"


@pytest.mark.parametrize("query", [b"", b"user_id=", b"user_id=%20", b"userid=a", b"User_id=a", b"&&", b"limit"])
def test_a_query_that_names_nobody(query: bytes) -> None:
    assert ask(AUTHENTICATOR, HERE, query=query).user_id is None


@pytest.mark.parametrize("query", [b"user_id=a&user_id=b", b"user_id=%ff", b"user_id=\xff", b"a=1&" * 101])
def test_a_query_that_nobody_can_read_is_refused(query: bytes) -> None:
    with pytest.raises(NotAuthenticated):
        ask(AUTHENTICATOR, HERE, query=query)


def test_the_query_and_the_header_must_agree() -> None:
    with pytest.raises(NotAuthenticated, match="different users"):
        ask(AUTHENTICATOR, {**HERE, USER: "alice"}, query=b"user_id=bob")


def test_a_credential_is_none_of_ours() -> None:
    assert ask(AUTHENTICATOR, {**HERE, **bearer("sk-of-the-upstream")}).credential == ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.8.8.8", "[::1]:8080", "[::1]"])
def test_a_host_that_is_this_machine(host: str) -> None:
    assert ask(AUTHENTICATOR, {"host": host}).admin


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example#localhost",
        "0.0.0.0",
        "10.0.0.1:8080",
        "[::]",
        "::1",
        "2130706433",
        "0x7f.1",
        "localhost:",
        "localhost:8080:9",
        "localhost evil",
        "127.0.0.1, evil.example",
        "",
        b"\xff",
    ],
)
def test_any_other_host_is_refused(host: str | bytes) -> None:
    """DNS rebinding: the page's own name leads here, and is what its browser sends."""
    with pytest.raises(NotAuthenticated, match="Host"):
        ask(AUTHENTICATOR, {"host": host})


def test_a_request_needs_one_host() -> None:
    for headers in ({}, {"host": ["localhost", "evil.example"]}):
        with pytest.raises(NotAuthenticated):
            ask(AUTHENTICATOR, headers)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_dashboards_own_requests_are_let_through(site: str) -> None:
    assert ask(AUTHENTICATOR, {**HERE, "sec-fetch-site": site, "origin": "http://localhost:8080"}).admin


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "nonsense"},
        {"sec-fetch-site": ["same-origin", "cross-site"]},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://localhost"},
        {"origin": "null"},
        {"origin": "localhost:8080"},
        {"origin": ""},
    ],
)
def test_a_request_of_another_page_is_refused(headers: dict[str, str | list[str]]) -> None:
    with pytest.raises(NotAuthenticated):
        ask(AUTHENTICATOR, {**HERE, **headers})


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", None, "testclient"])
def test_a_peer_on_this_machine(peer: str | None) -> None:
    assert ask(AUTHENTICATOR, HERE, peer=peer).admin


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "192.0.2.1"])
def test_a_peer_from_elsewhere_is_refused(peer: str) -> None:
    with pytest.raises(NotAuthenticated, match="this machine"):
        ask(AUTHENTICATOR, HERE, peer=peer)
