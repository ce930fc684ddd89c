"""Whatever the headers are: a user is only who a good credential says, and nothing but a refusal is raised."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_memory.errors import NotAuthenticated
from router_memory.identity import Authenticator
from tests.unit.identity.support import USER, config, jwt_auth, key_file, rsa_key, token

ADMIN = b"an-admin-key-of-some-length"
GOOD, FORGED = token().encode(), token(rsa_key("stranger"), sub="mallory").encode()
SECRETS = [ADMIN, b"one", b"any", GOOD, FORGED, b"unknown", b"", b"a.b.c"]
NAMES = [USER.encode(), USER.upper().encode(), b"authorization", b"x-api-key", b"host", b"origin", b"sec-fetch-site"]
GATEWAY, STRANGER = "10.0.0.1", "192.0.2.1"

secret = st.sampled_from(SECRETS) | st.binary(max_size=12)
scheme = st.sampled_from([b"Bearer ", b"bearer  ", b"Basic ", b"", b"Bearer\t"])
value = (
    secret | st.builds(bytes.__add__, scheme, secret) | st.sampled_from([b"alice", b"victim", b"localhost", b"\xff"])
)
headers = st.lists(st.tuples(st.sampled_from(NAMES), value), max_size=6)


@pytest.fixture(scope="module")
def authenticator(tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
    folder: Path = tmp_path_factory.mktemp("all")
    keys = key_file(folder, {"key": "one", "users": ["alice"]}, {"key": "any", "users": ["*"]})
    section = {**jwt_auth(folder), "api_keys_file": keys, "admin_key": ADMIN.decode()}
    section |= {"modes": ["header", "jwt", "api_key"], "trusted_peers": ["10.0.0.0/8"]}
    return Authenticator.of(config(section))


@settings(max_examples=400, deadline=None)
@given(headers=headers, peer=st.sampled_from([GATEWAY, STRANGER, "nonsense", None]))
def test_nobody_gets_more_than_their_credential_allows(
    authenticator: Authenticator, headers: list[tuple[bytes, bytes]], peer: str | None
) -> None:
    try:
        caller = authenticator.identify(headers, peer=peer, query=b"user_id=victim")
    except NotAuthenticated:
        return
    shown = b"\n".join(found for name, found in headers if name in (b"authorization", b"x-api-key"))
    named = {found.strip(b" \t") for name, found in headers if name.lower() == USER.encode()}
    if caller.admin:
        assert ADMIN in shown
    if caller.user_id not in (None, "alice"):
        assert named == {(caller.user_id or "").encode()}
        assert peer == GATEWAY or ADMIN in shown or b"any" in shown
    if caller.user_id == "alice" and peer != GATEWAY:
        assert ADMIN in shown or any(each in shown for each in (b"one", b"any", GOOD))
    assert FORGED not in shown


@settings(max_examples=200, deadline=None)
@given(headers=headers, query=st.binary(max_size=20), peer=st.sampled_from(["127.0.0.1", STRANGER, "", None]))
def test_development_refuses_or_lets_in(headers: list[tuple[bytes, bytes]], query: bytes, peer: str | None) -> None:
    developer = Authenticator.of(config({"modes": ["development"]}))
    try:
        caller = developer.identify(headers, peer=peer, query=query)
    except NotAuthenticated:
        return
    assert caller.admin
    assert peer != STRANGER
    assert {found for name, found in headers if name == b"host"} == {b"localhost"}
