"""The mode `jwt`: a token counts when the issuer's key signed it, for this service, for now."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from router_memory.errors import NotAuthenticated
from router_memory.identity import Authenticator, Caller
from router_memory.identity import tokens as module
from tests.unit.identity.support import (
    USER,
    ask,
    bearer,
    claims,
    config,
    ec_key,
    ed_key,
    jwk,
    jwt_auth,
    rsa_key,
    token,
)

ADMINS = {"admin_claim": "roles", "admin_value": "memory-admin"}


@pytest.fixture(scope="module")
def authenticator(tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
    """Takes tokens of one RSA key and one EC key."""
    keys = (jwk(rsa_key(), alg="RS256"), jwk(ec_key(), alg="ES256", kid="two"))
    return Authenticator.of(config(jwt_auth(tmp_path_factory.mktemp("jwks"), *keys, **ADMINS)))


def part(value: Any) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def signed_with_hmac(secret: bytes, header: dict[str, Any]) -> str:
    message = part(header) + b"." + part(claims())
    return (message + b"." + part(hmac.digest(secret, message, hashlib.sha256))).decode()


def refused(authenticator: Authenticator, credential: str, **headers: str) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        ask(authenticator, {**bearer(credential), **headers})
    return str(caught.value)


def test_a_good_token_names_its_user(authenticator: Authenticator) -> None:
    assert ask(authenticator, bearer(token())) == Caller("alice", how="jwt", credential="authorization")


def test_a_token_of_another_kind_of_key_is_as_good(authenticator: Authenticator) -> None:
    assert ask(authenticator, bearer(token(ec_key(), "ES256", kid="two", sub="bob"))).user_id == "bob"


def test_without_a_token_nobody_is_named(authenticator: Authenticator) -> None:
    assert ask(authenticator) == Caller(None)
    assert ask(authenticator, {USER: "alice"}) == Caller(None)


@pytest.mark.parametrize("named", ["bob", "alice", ""])
def test_the_user_header_does_not_win_over_a_token(authenticator: Authenticator, named: str) -> None:
    assert ask(authenticator, {**bearer(token()), USER: named}).user_id == "alice"


def test_two_user_headers_do_not_matter_beside_a_token(authenticator: Authenticator) -> None:
    assert ask(authenticator, {**bearer(token()), USER: ["bob", "carol"]}).user_id == "alice"


def test_an_id_may_be_any_unicode(authenticator: Authenticator) -> None:
    assert ask(authenticator, bearer(token(sub="zoë 例"))).user_id == "zoë 例"


@pytest.mark.parametrize("sub", [None, "", " ", "\u00a0", 5, True, ["alice"], {"id": "alice"}, "\ud800", "a" * 70_000])
def test_a_token_without_a_usable_user_is_refused(authenticator: Authenticator, sub: Any) -> None:
    refused(authenticator, signed(claims(sub=sub)))


def signed(payload: Any, **header: Any) -> str:
    """A token whose claims the library itself would refuse to write."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return jwt.PyJWS().encode(raw, rsa_key(), "RS256", headers={"kid": "one", **header})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"exp": 1_600_000_000}, "expired"),
        ({"exp": None}, "not for this service"),
        ({"nbf": 9_000_000_000}, "not valid yet"),
        ({"iat": 9_000_000_000}, "not valid yet"),
        ({"iss": "https://issuer.example/"}, "not for this service"),
        ({"iss": None}, "not for this service"),
        ({"iss": ["https://issuer.example"]}, "not for this service"),
        ({"aud": "another"}, "not for this service"),
        ({"aud": None}, "not for this service"),
        ({"aud": []}, "not for this service"),
        ({"aud": "router-memory-2"}, "not for this service"),
        ({"aud": {"router-memory": 1}}, "not for this service"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": [9_000_000_000]}, "not valid"),
        ({"exp": float("inf")}, "not valid"),
        ({"exp": float("nan")}, "not valid"),
        ({"exp": 10**400}, "not valid"),
        ({"nbf": "later"}, "not valid"),
    ],
)
def test_a_claim_that_does_not_hold(authenticator: Authenticator, changed: dict[str, Any], message: str) -> None:
    assert message in refused(authenticator, signed(claims(**changed)))


def test_a_token_for_several_audiences_is_for_this_one_too(authenticator: Authenticator) -> None:
    assert ask(authenticator, bearer(token(aud=["another", "router-memory"]))).user_id == "alice"


def test_a_token_needs_no_time_to_begin(authenticator: Authenticator) -> None:
    assert ask(authenticator, bearer(token(nbf=None, iat=None))).user_id == "alice"


def test_the_issuers_clock_may_be_off_by_the_leeway(tmp_path: Path) -> None:
    now = int(time.time())
    lenient = Authenticator.of(config(jwt_auth(tmp_path, leeway_seconds=300)))
    strict = Authenticator.of(config(jwt_auth(tmp_path, leeway_seconds=0)))
    for credential in (token(exp=now - 100), token(nbf=now + 100)):
        assert ask(lenient, bearer(credential)).user_id == "alice"
        refused(strict, credential)


class TestSignature:
    """What is not signed by the key of that name in the way the key is for."""

    def test_none_is_no_signature(self, authenticator: Authenticator) -> None:
        for name in ("none", "None", "NONE", "nOnE", ""):
            unsigned = part({"alg": name, "kid": "one"}) + b"." + part(claims()) + b"."
            refused(authenticator, unsigned.decode())

    def test_the_public_key_is_no_shared_secret(self, authenticator: Authenticator) -> None:
        """The confusion of RS256 and HS256: everybody has the public key."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = rsa_key().public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        modulus = jwk(rsa_key())["n"].encode()
        for secret in (pem, pem.strip(), der, modulus, json.dumps(jwk(rsa_key())).encode()):
            for algorithm in ("HS256", "RS256"):
                refused(authenticator, signed_with_hmac(secret, {"alg": algorithm, "kid": "one"}))

    def test_a_key_of_the_tokens_own_is_not_taken(self, authenticator: Authenticator) -> None:
        other = rsa_key("stranger")
        for head in ({"jwk": jwk(other)}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example/x"}):
            refused(authenticator, token(other, head=head))

    @pytest.mark.parametrize("kid", ["one", "two", "three", "", "../one", None])
    def test_the_signature_of_a_stranger_is_refused_under_any_name(
        self, authenticator: Authenticator, kid: str | None
    ) -> None:
        refused(authenticator, token(rsa_key("stranger"), kid=kid))

    def test_a_key_serves_its_own_name_alone(self, authenticator: Authenticator) -> None:
        for kid in ("two", "three", ""):
            refused(authenticator, token(kid=kid))

    @pytest.mark.parametrize("kid", [5, ["one"], {"a": 1}, True])
    def test_a_kid_that_is_no_string_is_refused(self, authenticator: Authenticator, kid: Any) -> None:
        header = part({"alg": "RS256", "kid": kid})
        message = header + b"." + part(claims())
        signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(message, rsa_key())
        refused(authenticator, (message + b"." + part(signature)).decode())

    def test_a_key_serves_its_own_algorithm_alone(self, authenticator: Authenticator) -> None:
        for algorithm in ("RS384", "RS512", "PS256"):
            refused(authenticator, token(algorithm=algorithm))

    def test_an_algorithm_that_is_not_allowed_is_refused_although_the_key_could(self, tmp_path: Path) -> None:
        keys = (jwk(rsa_key()), jwk(ec_key(), kid="two"))
        authenticator = Authenticator.of(config(jwt_auth(tmp_path, *keys, algorithms=["ES256"])))
        refused(authenticator, token())
        assert ask(authenticator, bearer(token(ec_key(), "ES256", kid="two"))).user_id == "alice"

    def test_a_changed_token_is_refused(self, authenticator: Authenticator) -> None:
        head, _, signature = token().split(".")
        refused(authenticator, f"{head}.{part(claims(sub='bob')).decode()}.{signature}")
        refused(authenticator, token()[:-4] + "AAAA")

    def test_what_a_token_says_must_be_understood_is_refused(self, authenticator: Authenticator) -> None:
        for name in ("exp", "b64", "x"):
            refused(authenticator, signed(claims(), crit=[name], **({} if name == "b64" else {name: 1})))

    def test_without_a_kid_the_only_key_for_the_algorithm_is_meant(self, authenticator: Authenticator) -> None:
        assert ask(authenticator, bearer(token(kid=None))).user_id == "alice"
        assert ask(authenticator, bearer(token(ec_key(), "ES256", kid=None))).user_id == "alice"

    def test_an_empty_kid_is_no_way_to_a_key_without_one(self, tmp_path: Path) -> None:
        authenticator = Authenticator.of(config(jwt_auth(tmp_path, jwk(rsa_key(), kid=None))))
        refused(authenticator, token(kid=""))
        refused(authenticator, token(kid="one"))
        assert ask(authenticator, bearer(token(kid=None))).user_id == "alice"

    def test_without_a_kid_none_of_two_keys_is_meant(self, tmp_path: Path) -> None:
        keys = (jwk(rsa_key()), jwk(rsa_key("second"), kid="two"))
        refused(Authenticator.of(config(jwt_auth(tmp_path, *keys))), token(kid=None))

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [(rsa_key, "PS256"), (rsa_key, "RS512"), (ec_key, "ES256"), (ed_key, "EdDSA")],
    )
    def test_any_algorithm_that_is_allowed_and_fits_the_key_will_do(
        self, tmp_path: Path, key: Any, algorithm: str
    ) -> None:
        auth = jwt_auth(tmp_path, jwk(key(), alg=None), algorithms=[algorithm])
        assert ask(Authenticator.of(config(auth)), bearer(token(key(), algorithm))).user_id == "alice"


def test_rubbish_is_refused(authenticator: Authenticator) -> None:
    deep = b"[" * 8000
    for rubbish in (
        "x",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d.e",
        "ey.ey.ey",
        f"{part(b'[]').decode()}.{part({}).decode()}.",
        f"{part(b'null').decode()}.{part({}).decode()}.",
        f"{part({'alg': ['RS256']}).decode()}.{part({}).decode()}.",
        f"{part({'kid': 'one'}).decode()}.{part({}).decode()}.",
        (part(deep) + b"." + part({}) + b".").decode(),
        (part({"alg": "RS256", "kid": "one"}) + b"." + part(b"1" * 5000) + b".").decode(),
        (b'{"alg":"RS256"}.{}.x').decode(),
        "é.é.é",
        "a" * 16_385,
        token() + "." + "a" * 20_000,
    ):
        refused(authenticator, rubbish)


def test_a_token_that_is_too_long_is_not_looked_at(authenticator: Authenticator) -> None:
    assert "too long" in refused(authenticator, token(padding="a" * 20_000))


def test_claims_that_are_no_object_are_refused(authenticator: Authenticator) -> None:
    for payload in (b"[]", b"null", b"5", b'"alice"', b"", b"\xff", b"[" * 8000, b'{"exp":' + b"9" * 5000 + b"}"):
        refused(authenticator, signed(payload))


@pytest.mark.parametrize("scheme", ["Basic", "Token", "JWT"])
def test_a_token_under_another_scheme_is_refused(authenticator: Authenticator, scheme: str) -> None:
    with pytest.raises(NotAuthenticated):
        ask(authenticator, {"authorization": f"{scheme} {token()}"})


def test_two_tokens_are_refused(authenticator: Authenticator) -> None:
    for values in ([f"Bearer {token()}", f"Bearer {token(sub='bob')}"], [f"Bearer {token()}, Bearer {token()}"]):
        with pytest.raises(NotAuthenticated):
            ask(authenticator, {"authorization": values})


def test_a_token_is_no_api_key_here(authenticator: Authenticator) -> None:
    assert ask(authenticator, {"x-api-key": token()}) == Caller(None)


def test_no_message_holds_the_token_or_its_claims(authenticator: Authenticator) -> None:
    for wrong in (token(exp=1), token(aud="x"), token(rsa_key("stranger")), token()[:-4] + "AAAA"):
        message = refused(authenticator, wrong)
        assert "alice" not in message
        assert wrong.split(".")[1] not in message


class TestAdmin:
    """A claim makes an operator, who may name any user."""

    @pytest.mark.parametrize("roles", ["memory-admin", ["x", "memory-admin"]])
    def test_the_claim_has_or_holds_the_value(self, authenticator: Authenticator, roles: Any) -> None:
        assert ask(authenticator, bearer(token(roles=roles))).admin

    @pytest.mark.parametrize(
        "roles",
        [
            None,
            "",
            "memory-admin2",
            "x memory-admin",
            "Memory-Admin",
            [],
            ["memory-admin "],
            [["memory-admin"]],
            True,
            1,
            {"memory-admin": True},
        ],
    )
    def test_anything_else_makes_none(self, authenticator: Authenticator, roles: Any) -> None:
        assert not ask(authenticator, bearer(token(roles=roles))).admin

    def test_an_admin_is_the_user_of_the_token_unless_another_is_named(self, authenticator: Authenticator) -> None:
        headers = bearer(token(roles="memory-admin"))
        assert ask(authenticator, headers).user_id == "alice"
        assert ask(authenticator, {**headers, USER: "bob"}).user_id == "bob"

    def test_an_admin_names_one_user(self, authenticator: Authenticator) -> None:
        with pytest.raises(NotAuthenticated):
            ask(authenticator, {**bearer(token(roles="memory-admin")), USER: ["bob", "carol"]})

    def test_an_admin_needs_no_user(self, authenticator: Authenticator) -> None:
        assert ask(authenticator, bearer(token(roles="memory-admin", sub=None))).user_id is None

    def test_without_a_value_the_claim_must_be_true(self, tmp_path: Path) -> None:
        authenticator = Authenticator.of(config(jwt_auth(tmp_path, admin_claim="is_admin")))
        assert ask(authenticator, bearer(token(is_admin=True))).admin
        anything: list[Any] = [False, "true", 1, [True], {}]
        for wrong in anything:
            assert not ask(authenticator, bearer(token(is_admin=wrong))).admin

    def test_dots_lead_into_a_claim_unless_one_has_that_name(self, tmp_path: Path) -> None:
        section = {"admin_claim": "realm.roles", "admin_value": "ops", "user_claim": "ext.user"}
        authenticator = Authenticator.of(config(jwt_auth(tmp_path, **section)))
        nested = token(realm={"roles": ["ops"]}, ext={"user": "bob"})
        assert ask(authenticator, bearer(nested)) == Caller("bob", admin=True, how="jwt", credential="authorization")
        flat: dict[str, Any] = {"realm.roles": "ops", "ext.user": "carol"}
        assert ask(authenticator, bearer(token(**flat))).user_id == "carol"
        assert not ask(authenticator, bearer(token(realm=["roles"], ext={"user": "bob"}))).admin

    def test_the_scope_claim_holds_words(self, tmp_path: Path) -> None:
        section = {"admin_claim": "scope", "admin_value": "ops"}
        authenticator = Authenticator.of(config(jwt_auth(tmp_path, **section)))
        assert ask(authenticator, bearer(token(scope="read ops"))).admin
        assert not ask(authenticator, bearer(token(scope="read ops-2"))).admin


class TestBesideTheUserHeader:
    """Both modes: the gateway's header counts, and a token wins over anybody else's."""

    @pytest.fixture
    def both(self, tmp_path: Path) -> Authenticator:
        auth = jwt_auth(tmp_path)
        return Authenticator.of(config({**auth, "modes": ["header", "jwt"], "trusted_peers": ["10.0.0.0/8"]}))

    def test_the_header_of_the_gateway_counts_alone(self, both: Authenticator) -> None:
        assert ask(both, {USER: "bob"}, peer="10.0.0.1").how == "header"
        assert ask(both, {USER: "bob"}, peer="192.0.2.1") == Caller(None)

    def test_a_strangers_header_does_not_matter(self, both: Authenticator) -> None:
        assert ask(both, {**bearer(token()), USER: "bob"}, peer="192.0.2.1").user_id == "alice"

    def test_the_gateway_and_the_token_must_agree(self, both: Authenticator) -> None:
        assert ask(both, {**bearer(token()), USER: "alice"}, peer="10.0.0.1").how == "jwt"
        with pytest.raises(NotAuthenticated, match="different users"):
            ask(both, {**bearer(token()), USER: "bob"}, peer="10.0.0.1")

    def test_a_bad_token_does_not_fall_back_on_the_header(self, both: Authenticator) -> None:
        for wrong in (token(exp=1), "sk-of-the-upstream"):
            with pytest.raises(NotAuthenticated):
                ask(both, {**bearer(wrong), USER: "alice"}, peer="10.0.0.1")


class TestRemembered:
    """Verified tokens are remembered for a moment."""

    @pytest.fixture
    def verified(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The tokens that were verified, in order."""
        seen: list[str] = []
        decode = jwt.decode

        def noting(token: bytes, *args: Any, **kwargs: Any) -> Any:
            seen.append(token.decode())
            return decode(token, *args, **kwargs)

        monkeypatch.setattr(jwt, "decode", noting)
        return seen

    def test_for_a_minute_and_no_longer(self, tmp_path: Path, verified: list[str]) -> None:
        now = [time.time()]
        authenticator = Authenticator.of(config(jwt_auth(tmp_path)), clock=lambda: now[0])
        credential = token()
        for later, times in ((0.0, 1), (59.0, 1), (60.5, 2)):
            start = now[0]
            now[0] = start + later
            assert ask(authenticator, bearer(credential)).user_id == "alice"
            assert len(verified) == times
            now[0] = start

    def test_never_beyond_its_end(self, tmp_path: Path, verified: list[str]) -> None:
        now = [time.time()]
        authenticator = Authenticator.of(config(jwt_auth(tmp_path)), clock=lambda: now[0])
        credential = token(exp=int(now[0]) + 20)
        ask(authenticator, bearer(credential))
        now[0] += 21
        ask(authenticator, bearer(credential))
        assert len(verified) == 2

    def test_each_token_for_itself(self, tmp_path: Path, verified: list[str]) -> None:
        authenticator = Authenticator.of(config(jwt_auth(tmp_path)))
        users = [ask(authenticator, bearer(each)).user_id for each in 2 * [token(), token(sub="bob")]]
        assert users == ["alice", "bob", "alice", "bob"]
        assert len(verified) == 2

    def test_only_so_many(self, tmp_path: Path, verified: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "REMEMBERED", 2)
        authenticator = Authenticator.of(config(jwt_auth(tmp_path)))
        first, second, third = (token(sub=name) for name in ("a", "b", "c"))
        for each in (first, second, third, third, first):
            ask(authenticator, bearer(each))
        assert verified == [first, second, third, first]

    def test_not_when_refused(self, tmp_path: Path, verified: list[str]) -> None:
        authenticator = Authenticator.of(config(jwt_auth(tmp_path)))
        wrong = token(aud="another")
        for _ in range(2):
            refused(authenticator, wrong)
        assert len(verified) == 2

    def test_not_by_the_authenticator_of_the_next_configuration(self, tmp_path: Path) -> None:
        """A reload after the key was replaced ends what the old key signed."""
        auth = jwt_auth(tmp_path)
        credential = token()
        before = Authenticator.of(config(auth))
        assert ask(before, bearer(credential)).user_id == "alice"
        jwt_auth(tmp_path, jwk(rsa_key("second")))
        refused(Authenticator.of(config(auth)), credential)
        assert ask(before, bearer(credential)).user_id == "alice"
