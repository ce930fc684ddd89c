"""The mode `header`: the gateway says who is asking, and only the gateway."""

from __future__ import annotations

import pytest

from router_memory.errors import NotAuthenticated
from router_memory.identity import Authenticator, Caller, ForeignPage
from tests.unit.identity.support import USER, ask, config

ANYBODY = Authenticator.of(config())
GATEWAY = Authenticator.of(config({"trusted_peers": ["10.1.0.0/16", "::1", "2001:db8::/32"]}))


def test_the_header_names_the_user() -> None:
    assert ask(ANYBODY, {USER: "alice"}) == Caller("alice", how="header")


def test_a_request_without_it_is_anonymous() -> None:
    assert ask(ANYBODY) == Caller(None, admin=False, how="anonymous")


@pytest.mark.parametrize("blank", ["", " ", "\t", "\u00a0", "\u2003 "])
def test_a_blank_one_is_none(blank: str) -> None:
    assert ask(ANYBODY, {USER: blank}) == Caller(None)


def test_its_name_has_no_case() -> None:
    assert ask(ANYBODY, {"X-Authz-User-Id": "alice"}).user_id == "alice"


@pytest.mark.parametrize("name", ["x_authz_user_id", "x-authz-user-id ", "x-authz-user", "x-authz-user-id-2"])
def test_a_name_that_is_nearly_the_same_is_another_header(name: str) -> None:
    assert ask(ANYBODY, {name: "alice"}) == Caller(None)


def test_an_id_keeps_case_commas_and_blanks_inside() -> None:
    assert ask(ANYBODY, {USER: " Alice, B  c\t"}).user_id == "Alice, B  c"


def test_an_id_may_be_any_unicode() -> None:
    assert ask(ANYBODY, {USER: "zoë 例"}).user_id == "zoë 例"


def test_a_long_id_is_left_to_the_scope_to_judge() -> None:
    assert ask(ANYBODY, {USER: "a" * 70_000}).user_id == "a" * 70_000


@pytest.mark.parametrize("value", [b"\xff", b"al\xc3", b"\xed\xa0\x80", b"alice\r\n bob", b"alice\nbob", b"a\0b"])
def test_what_is_no_text_in_utf_8_or_folded_is_refused(value: bytes) -> None:
    with pytest.raises(NotAuthenticated):
        ask(ANYBODY, {USER: value})


@pytest.mark.parametrize("values", [["alice", "bob"], ["alice", ""], ["", "alice"], ["alice", "Alice"]])
def test_two_values_are_refused_whichever_the_gateway_set(values: list[str]) -> None:
    with pytest.raises(NotAuthenticated, match="more than one user header"):
        ask(ANYBODY, {USER: values})


def test_two_equal_values_are_one() -> None:
    assert ask(ANYBODY, {USER: ["alice", " alice "]}).user_id == "alice"


def test_two_values_under_two_spellings_of_the_name_are_refused() -> None:
    with pytest.raises(NotAuthenticated):
        ask(ANYBODY, {"x-authz-user-id": "alice", "X-Authz-User-Id": "bob"})


@pytest.mark.parametrize("authorization", ["Bearer sk-of-the-upstream", "Basic YTpi", "nonsense", ""])
def test_a_credential_for_the_upstream_is_none_of_ours(authorization: str) -> None:
    found = ask(ANYBODY, {USER: "alice", "authorization": authorization, "x-api-key": "sk-2"})
    assert found == Caller("alice", how="header")


def test_the_query_names_nobody() -> None:
    assert ask(ANYBODY, query=b"user_id=alice") == Caller(None)


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "::1", "2001:db8:1::5", "2001:db8::1%eth0"])
def test_the_header_of_a_trusted_peer_counts(peer: str) -> None:
    assert ask(GATEWAY, {USER: "alice"}, peer=peer).user_id == "alice"


@pytest.mark.parametrize(
    "peer",
    ["10.2.0.1", "::ffff:10.2.0.1", "::2", "127.0.0.1", "2001:db9::1", "10.1.2.3, 10.2.0.1", "testclient", "", None],
)
def test_the_header_of_any_other_peer_does_not(peer: str | None) -> None:
    assert ask(GATEWAY, {USER: "alice"}, peer=peer) == Caller(None)


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_no_header_changes_who_the_peer_is(name: str) -> None:
    assert ask(GATEWAY, {USER: "alice", name: "10.1.2.3"}, peer="10.2.0.1") == Caller(None)


@pytest.mark.parametrize(("network", "peer"), [("::ffff:10.1.0.0/112", "10.1.2.3"), ("10.1.2.3", "::ffff:10.1.2.3")])
def test_both_ways_to_write_an_ipv4_address_mean_it(network: str, peer: str) -> None:
    authenticator = Authenticator.of(config({"trusted_peers": [network]}))
    assert ask(authenticator, {USER: "alice"}, peer=peer).user_id == "alice"
    assert ask(authenticator, {USER: "alice"}, peer="10.9.9.9").user_id is None


class TestPages:
    """On a loopback address a page in a browser of this machine must not be taken for the gateway."""

    @pytest.mark.parametrize(
        "host",
        [
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "10.0.0.1",
            "memory",
            "a.localhost",
            "LOCALHOST.",
            "[::ffff:127.0.0.1]",
        ],
    )
    def test_a_host_that_no_stranger_can_have(self, host: str) -> None:
        assert ask(ANYBODY, {USER: "alice", "host": host}).user_id == "alice"

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "a b.c", "a:b:c"])
    def test_the_name_of_a_page_that_was_led_here_is_refused(self, host: str) -> None:
        """DNS rebinding: the page may set the user header, and cannot set the Host."""
        with pytest.raises(NotAuthenticated, match="web page"):
            ask(ANYBODY, {USER: "alice", "host": host})

    @pytest.mark.parametrize(
        "origin", ["http://evil.example", "null", "", "http://localhost.evil.example", "http://[::1", "localhost:8080"]
    )
    def test_the_origin_of_such_a_page_is_refused(self, origin: str) -> None:
        with pytest.raises(ForeignPage):
            ask(ANYBODY, {USER: "alice", "host": "localhost", "origin": origin})

    @pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"])
    def test_a_page_of_this_machine_may_be_behind_a_gateway(self, origin: str) -> None:
        headers = {USER: "alice", "host": "localhost", "origin": origin, "sec-fetch-site": "cross-site"}
        assert ask(ANYBODY, headers).user_id == "alice"

    def test_without_an_origin_the_browsers_word_counts(self) -> None:
        with pytest.raises(ForeignPage):
            ask(ANYBODY, {USER: "alice", "host": "localhost", "sec-fetch-site": "cross-site"})
        assert ask(ANYBODY, {USER: "alice", "host": "localhost", "sec-fetch-site": "same-origin"}).user_id == "alice"

    def test_what_is_listened_on_counts_and_not_what_the_file_says_by_now(self) -> None:
        page = {USER: "alice", "host": "evil.example"}
        with pytest.raises(ForeignPage):
            ask(Authenticator.of(config(host="0.0.0.0"), host="127.0.0.1"), page)
        assert ask(Authenticator.of(config(host="127.0.0.1"), host="0.0.0.0"), page).user_id == "alice"

    def test_two_hosts_are_refused(self) -> None:
        with pytest.raises(NotAuthenticated):
            ask(ANYBODY, {USER: "alice", "host": ["localhost", "evil.example"]})

    def test_a_request_without_a_user_is_as_anonymous_as_ever(self) -> None:
        assert ask(ANYBODY, {"host": "evil.example"}) == Caller(None)

    def test_a_gateway_that_is_named_may_pass_on_any_host(self) -> None:
        authenticator = Authenticator.of(config({"trusted_peers": ["127.0.0.1"]}))
        assert ask(authenticator, {USER: "alice", "host": "api.example"}, peer="127.0.0.1").user_id == "alice"

    def test_on_an_open_address_the_host_is_the_gateways_affair(self) -> None:
        assert ask(Authenticator.of(config(host="0.0.0.0")), {USER: "alice", "host": "api.example"}).user_id == "alice"


def test_many_peers_are_told_apart() -> None:
    """More than are remembered."""
    peers = [f"10.{a}.{b}.1" for a in range(8) for b in range(256)]
    assert [peer for peer in peers if ask(GATEWAY, {USER: "u"}, peer=peer).user_id] == peers[256:512]
