"""docs/identity.md: its configurations load, its files are read, its script makes a key set, and no key is left out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from router_memory.config import load_config
from router_memory.config.auth import AuthSection, JwtSection
from router_memory.identity import Authenticator
from router_memory.identity.api_keys import ApiKeys
from tests.unit.identity.support import USER, ask, bearer, config, jwt_auth, rsa_key, token

PAGE = (Path(__file__).parents[2] / "docs" / "identity.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
CONFIGURATIONS = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("global:")]


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_a_configuration_loads(text: str) -> None:
    config = load_config({**yaml.safe_load(text)}, environ={"HOME": "/home/somebody"})
    assert [warning for warning in config.warnings if "development" not in warning] == []
    assert config.memory.enabled


def test_there_is_a_configuration_for_each_mode() -> None:
    modes = {mode for text in CONFIGURATIONS for mode in load_config(yaml.safe_load(text)).service.auth.modes}
    assert modes == {"header", "jwt", "api_key", "development"}


def test_the_file_of_keys_is_read() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "key_sha256" in text]
    assert len(ApiKeys.read(Path("api-keys.yaml"), text.encode(), lambda: 0.0)) == 4


def test_the_network_policy_names_the_port() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "yaml" and "kind: NetworkPolicy" in text]
    assert yaml.safe_load(text)["spec"]["ingress"][0]["ports"] == [{"port": load_config().service.port}]


def test_the_script_makes_a_key_set_that_tokens_are_verified_with(tmp_path: Path) -> None:
    (script,) = re.findall(r"<<'PY'\n(.*?)^PY$", PAGE, flags=re.MULTILINE | re.DOTALL)
    pem = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(pem)
    ran = subprocess.run([sys.executable, "-", tmp_path / "public.pem"], input=script.encode(), capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()
    auth = jwt_auth(tmp_path)
    (tmp_path / "jwks.json").write_bytes(ran.stdout)
    assert ask(Authenticator.of(config(auth)), bearer(token(kid="2027-01"))).user_id == "alice"


@pytest.mark.parametrize("key", [*AuthSection.model_fields, *JwtSection.model_fields])
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"\b{key}\b", PAGE)


def test_the_header_is_the_one_that_is_configured() -> None:
    assert USER in PAGE
