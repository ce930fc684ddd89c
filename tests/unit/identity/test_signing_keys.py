"""The file of public keys: what is in it is checked when it is read."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest

from router_memory.errors import ConfigError, MissingExtra
from router_memory.identity import Authenticator
from tests.unit.identity.support import ask, bearer, config, ec_key, jwk, jwt_auth, rsa_key, token


def refusal(folder: Path, *keys: Any, **section: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Authenticator.of(config(jwt_auth(folder, *keys, **section)))
    return caught.value


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}", '{"keys": {}}', '{"keys": ["x"]}', "[" * 100_000])
def test_a_file_that_is_no_key_set_is_refused(tmp_path: Path, content: str) -> None:
    auth = jwt_auth(tmp_path)
    (tmp_path / "jwks.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Authenticator.of(config(auth))
    assert caught.value.file == str(tmp_path / "jwks.json")
    assert caught.value.key_path.endswith("service.auth.jwt.jwks_file")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    auth = jwt_auth(tmp_path)
    (tmp_path / "jwks.json").unlink()
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        Authenticator.of(config(auth))
    assert caught.value.key_path.endswith("service.auth.jwt.jwks_file")


@pytest.mark.parametrize(
    "members",
    [{"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "RS512"}, {"alg": "RSA-OAEP"}, {"kty": "EC"}, {"kty": "unknown"}],
)
def test_a_key_for_something_else_is_passed_over(tmp_path: Path, members: dict[str, Any]) -> None:
    other = jwk(rsa_key("second"), kid="two", **members)
    authenticator = Authenticator.of(config(jwt_auth(tmp_path, other, jwk(rsa_key()))))
    assert ask(authenticator, bearer(token())).user_id == "alice"
    assert "no signing key" in refusal(tmp_path, other).message


def test_a_shared_secret_is_no_signing_key(tmp_path: Path) -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "one", "alg": "HS256"}
    assert "no signing key" in refusal(tmp_path, secret).message
    assert "no signing key" in refusal(tmp_path, {**secret, "alg": "RS256"}).message


def test_a_private_key_is_refused(tmp_path: Path) -> None:
    private = jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(), as_dict=True)
    private.pop("key_ops", None)
    error = refusal(tmp_path, {**private, "kid": "one"})
    assert "private key" in error.message
    assert error.key_path == "keys[0]"
    assert str(private["d"]) not in str(error)


def test_a_private_key_for_something_else_is_refused_too(tmp_path: Path) -> None:
    assert "private key" in refusal(tmp_path, {**jwk(rsa_key()), "use": "enc", "d": "AQAB"}, jwk(ec_key())).message


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    assert "2048 bits" in refusal(tmp_path, jwk(rsa_key("short", 1024))).message


@pytest.mark.parametrize("members", [{"n": "AA"}, {"n": "!!"}, {"e": None}, {"n": 5}])
def test_a_key_that_is_none_is_refused(tmp_path: Path, members: dict[str, Any]) -> None:
    assert refusal(tmp_path, jwk(rsa_key(), **members)).key_path == "keys[0]"


def test_a_key_on_a_curve_serves_the_algorithm_of_that_curve(tmp_path: Path) -> None:
    assert "no signing key" in refusal(tmp_path, jwk(ec_key(), crv="P-384")).message


def test_two_keys_of_one_name_for_one_algorithm_are_refused(tmp_path: Path) -> None:
    assert "kid of another" in refusal(tmp_path, jwk(rsa_key()), jwk(rsa_key("second"))).message


def test_two_keys_of_one_name_for_two_algorithms_are_two(tmp_path: Path) -> None:
    authenticator = Authenticator.of(config(jwt_auth(tmp_path, jwk(rsa_key()), jwk(ec_key()))))
    assert ask(authenticator, bearer(token())).user_id == "alice"
    assert ask(authenticator, bearer(token(ec_key(), "ES256"))).user_id == "alice"


@pytest.mark.parametrize("members", [{"kid": 5}, {"kid": ["one"]}, {"key_ops": 5}, {"key_ops": "verify"}])
def test_a_member_of_a_wrong_type_is_refused(tmp_path: Path, members: dict[str, Any]) -> None:
    assert next(iter(members)) in refusal(tmp_path, jwk(rsa_key(), **members)).message


@pytest.mark.parametrize("members", [{"use": 5}, {"alg": ["RS256"]}, {"kty": ["RSA"]}, {"crv": ["P-256"], "kty": "EC"}])
def test_one_that_is_for_nothing_known_is_passed_over(tmp_path: Path, members: dict[str, Any]) -> None:
    assert "no signing key" in refusal(tmp_path, jwk(rsa_key(), **members)).message


def test_the_file_is_read_when_the_authenticator_is_made_and_not_again(tmp_path: Path) -> None:
    authenticator = Authenticator.of(config(jwt_auth(tmp_path)))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": []}), encoding="utf-8")
    assert ask(authenticator, bearer(token())).user_id == "alice"


def test_without_the_library_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "jwt":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    for name in ("router_memory.identity.tokens", "router_memory.identity.signing_keys"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"router-memory\[server\]"):
        Authenticator.of(config(jwt_auth(tmp_path)))
