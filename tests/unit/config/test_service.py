"""The section of the service: its values, how they fit together, and what will surprise somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from router_memory.config import Config
from router_memory.errors import ConfigError
from tests.unit.config.support import MEMORY, decision, document, load, memory, refused

PATH = f"{MEMORY}.service"
SECRET = "hunter2-and-more"
JWT = {"issuer": "https://i", "audience": "a", "jwks_file": "jwks.json"}


def service(**section: Any) -> dict[str, object]:
    return memory(enabled=True, service=section)


def auth(**section: Any) -> dict[str, object]:
    return service(auth=section)


def warnings(source: dict[str, object]) -> list[str]:
    return [text.removeprefix(f"{PATH}.") for text in load(source).warnings]


def warning(source: dict[str, object]) -> str:
    (only,) = warnings(source)
    return only


def test_it_may_be_absent_or_empty_and_listens_on_this_machine_alone() -> None:
    for source in (memory(enabled=True), memory(enabled=True, service=None), service()):
        config = load(source)
        assert config.warnings == ()
        assert (config.service.host, config.service.port, config.service.auth.modes) == (
            "127.0.0.1",
            8080,
            ("header",),
        )


def test_everything_may_come_from_the_environment() -> None:
    section = {
        "port": "${PORT}",
        "models": [{"name": "${NAME}"}],
        "auth": {"modes": ["${MODE}"], "admin_key": "${KEY}"},
        "limits": {"requests_per_second": "${RATE:-1.5}"},
    }
    config = load(service(**section), PORT="0", NAME="a", MODE="header", KEY=SECRET, RATE="")
    assert (config.service.port, config.service.models[0].name) == (0, "a")
    assert config.service.limits.requests_per_second == 1.5


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"host": ""}, "host"),
        ({"host": "http://localhost"}, "host"),
        ({"host": "localhost:8080"}, "host"),
        ({"port": -1}, "port"),
        ({"port": 65_536}, "port"),
        ({"port": "8080"}, "port"),
        ({"workers": 0}, "workers"),
        ({"drain_seconds": -1}, "drain_seconds"),
        ({"decision_header": "a b"}, "decision_header"),
        ({"project_header": ""}, "project_header"),
        ({"conversation_header": "x:y"}, "conversation_header"),
        ({"models": [{"name": "a"}, {"nmae": "b"}]}, "models[1].nmae"),
        ({"models": [{"name": "a"}, {"decision": "b"}]}, "models[1].name"),
        ({"models": [{"name": " "}]}, "models[0].name"),
        ({"models": [{"name": "a"}, {"name": "a"}]}, "models[1].name"),
        ({"models": ["a"]}, "models[0]"),
        ({"models": {"a": {}}}, "models"),
        ({"upstream": {"connect_timeout": 0}}, "upstream.connect_timeout"),
        ({"upstream": {"max_connections": 0}}, "upstream.max_connections"),
        ({"upstream": {"api_key": "two words"}}, "upstream.api_key"),
        ({"upstream": {"api_key": "a", "api_key_file": "b"}}, "upstream.api_key_file"),
        ({"upstream": {"tls_ca_path": "a\0"}}, "upstream.tls_ca_path"),
        ({"auth": {"modes": []}}, "auth.modes"),
        ({"auth": {"modes": ["heder"]}}, "auth.modes[0]"),
        ({"auth": {"modes": ["header", "header"], "trusted_peers": ["::1"]}}, "auth.modes"),
        ({"auth": {"admin_key": "schlüssel-und-mehr"}}, "auth.admin_key"),
        ({"auth": {"admin_key": "a\n"}}, "auth.admin_key"),
        ({"auth": {"admin_key": "a", "admin_key_file": "b"}}, "auth.admin_key_file"),
        ({"auth": {"trusted_peers": ["::1", "gateway"]}}, "auth.trusted_peers[1]"),
        ({"auth": {"trusted_peers": ["10.0.0.1/8"]}}, "auth.trusted_peers[0]"),
        ({"auth": {"trusted_peers": [""]}}, "auth.trusted_peers[0]"),
        ({"auth": {"trusted_peers": "10.0.0.0/8"}}, "auth.trusted_peers"),
        ({"auth": {"jwt": {"algorithms": []}}}, "auth.jwt.algorithms"),
        ({"auth": {"jwt": {"algorithms": ["none"]}}}, "auth.jwt.algorithms[0]"),
        ({"auth": {"jwt": {"algorithms": ["RS256", "HS256"]}}}, "auth.jwt.algorithms[1]"),
        ({"auth": {"jwt": {"user_claim": ""}}}, "auth.jwt.user_claim"),
        ({"auth": {"jwt": {"admin_value": "x"}}}, "auth.jwt.admin_value"),
        ({"auth": {"jwt": {"leeway_seconds": 301}}}, "auth.jwt.leeway_seconds"),
        ({"limits": {"body_mb": 0}}, "limits.body_mb"),
        ({"limits": {"read_seconds": 0}}, "limits.read_seconds"),
        ({"telemetry": {"log_format": "xml"}}, "telemetry.log_format"),
        ({"mcp": "yes"}, "mcp"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(section: dict[str, Any], key: str) -> None:
    assert refused(service(**section)).key_path == f"{PATH}.{key}"


def test_an_unknown_key_of_a_list_is_told_the_nearest() -> None:
    assert "'upstream_model'" in refused(service(models=[{"name": "a", "upstream-model": "b"}])).hint


def test_a_network_with_the_address_of_a_host_is_told_the_network() -> None:
    assert "10.0.0.0/8" in refused(auth(trusted_peers=["10.0.0.1/8"])).hint


@pytest.mark.parametrize("url", ["http://localhost:8000/v1", "https://[::1]/v1", "http://a", "HTTP://a/v1/"])
def test_an_upstream_is_a_url(url: str) -> None:
    assert load(service(upstream={"url": url})).service.upstream.url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000/v1",
        "ftp://a",
        "http://",
        "http://:80",
        "http://a:99999",
        "http://[::1",
        f"http://user:{SECRET}@a/v1",
        f"http://a/v1?key={SECRET}",
        f"http://a/v1#{SECRET}",
        "http://a/v 1",
        "http://a/\n",
    ],
)
def test_what_is_no_url_or_holds_a_secret_is_refused_without_being_shown(url: str) -> None:
    error = refused(service(upstream={"url": url}))
    assert error.key_path == f"{PATH}.upstream.url"
    assert SECRET not in str(error)


class TestHeaders:
    """Each header means one thing."""

    def test_names_have_no_case(self) -> None:
        assert load(service(project_header="X-Project")).service.project_header == "x-project"

    @pytest.mark.parametrize("key", ["decision_header", "project_header", "conversation_header"])
    @pytest.mark.parametrize("taken", ["x-authz-user-id", "X-Disable-Router-Memory", "authorization", "X-Api-Key"])
    def test_one_that_means_something_else_is_refused(self, key: str, taken: str) -> None:
        assert refused(service(**{key: taken})).key_path == f"{PATH}.{key}"

    @pytest.mark.parametrize("taken", ["authorization", "x-api-key", "Host", "X-Forwarded-For"])
    def test_the_user_header_is_one_of_its_own(self, taken: str) -> None:
        assert refused(memory(identity={"user_header": taken})).key_path == f"{MEMORY}.identity.user_header"

    def test_two_of_the_services_own_differ(self) -> None:
        error = refused(service(project_header="x-a", conversation_header="X-A"))
        assert error.key_path == f"{PATH}.conversation_header"


class TestModes:
    """Which modes go together, and what each needs."""

    def test_the_header_beside_another_mode_needs_trusted_peers(self) -> None:
        assert refused(auth(modes=["header", "jwt"], jwt=JWT)).key_path == f"{PATH}.auth.trusted_peers"
        load(auth(modes=["header", "jwt"], jwt=JWT, trusted_peers=["::1"]))

    @pytest.mark.parametrize("other", ["header", "jwt", "api_key"])
    def test_development_stands_alone(self, other: str) -> None:
        assert refused(auth(modes=["development", other])).key_path == f"{PATH}.auth.modes"

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway", "localhost.example"])
    def test_development_is_for_this_machine_alone(self, host: str) -> None:
        source = service(host=host, auth={"modes": ["development"]})
        assert refused(source).key_path == f"{PATH}.host"

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
    def test_development_on_this_machine(self, host: str) -> None:
        assert load(service(host=host, auth={"modes": ["development"]})).service.auth.modes == ("development",)

    @pytest.mark.parametrize("key", ["issuer", "audience", "jwks_file"])
    def test_tokens_need_an_issuer_an_audience_and_keys(self, key: str) -> None:
        error = refused(auth(modes=["jwt"], jwt={**JWT, key: ""}))
        assert error.key_path == f"{PATH}.auth.jwt.{key}"

    def test_api_keys_need_their_file(self) -> None:
        assert refused(auth(modes=["api_key"])).key_path == f"{PATH}.auth.api_keys_file"


class TestWarnings:
    """What loads and will surprise somebody."""

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway"])
    def test_anybody_may_name_users_on_an_open_address(self, host: str) -> None:
        assert warning(service(host=host)).startswith("auth.trusted_peers: is empty")
        assert warnings(service(host=host, auth={"trusted_peers": ["10.0.0.0/8"]})) == []

    def test_tokens_on_an_open_address_are_no_surprise(self) -> None:
        assert warnings(service(host="0.0.0.0", auth={"modes": ["jwt"], "jwt": JWT})) == []

    @pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
    def test_a_network_of_everybody(self, everybody: str) -> None:
        assert "everybody" in warning(auth(trusted_peers=[everybody]))

    def test_development_opens_everything(self) -> None:
        assert "development" in warning(auth(modes=["development"]))

    @pytest.mark.parametrize(
        ("section", "key"),
        [
            ({"auth": {"admin_key": "short"}}, "auth.admin_key"),
            ({"auth": {"api_keys_file": "x"}}, "auth.api_keys_file"),
            ({"auth": {"jwt": JWT}}, "auth.jwt.jwks_file"),
            ({"auth": {"modes": ["jwt"], "jwt": JWT, "trusted_peers": ["::1"]}}, "auth.trusted_peers"),
            ({"limits": {"burst": 5}}, "limits.burst"),
            ({"upstream": {"url": "http://a", "tls_ca_path": "ca.pem"}}, "upstream.tls_ca_path"),
            ({"default_decision": "nowhere"}, "default_decision"),
            ({"models": [{"name": "a", "decision": "nowhere"}]}, "models[0].decision"),
        ],
    )
    def test_a_key_without_effect(self, section: dict[str, Any], key: str) -> None:
        assert warning(service(**section)).startswith(f"{key}: ")

    @pytest.mark.parametrize("key", ["admin_key", "admin_key_file"])
    def test_an_admin_key_in_development(self, key: str) -> None:
        found = warnings(auth(modes=["development"], **{key: "a-key-of-sixteen-or-more"}))
        assert found[1].startswith(f"auth.{key}: has no effect")

    def test_a_decision_of_the_file_is_known(self) -> None:
        section = {"enabled": True, "service": {"default_decision": "a", "models": [{"name": "x", "decision": "a"}]}}
        assert load(document(section, decision("a"))).warnings == ()


class TestSecrets:
    """Keys come from the file or a file of their own, read when asked for, and are shown nowhere."""

    @staticmethod
    def values(config: Config) -> list[str | None]:
        found = (config.admin_key(), config.upstream_key())
        return [secret.get_secret_value() if secret is not None else None for secret in found]

    def test_none_is_none(self) -> None:
        assert self.values(load(service())) == [None, None]

    def test_one_in_the_configuration(self) -> None:
        section = service(auth={"admin_key": SECRET}, upstream={"api_key": "${KEY}"})
        assert self.values(load(section, KEY=SECRET + "2")) == [SECRET, SECRET + "2"]

    def test_one_in_a_file_of_its_own(self, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        config = load(service(auth={"admin_key_file": str(file)}, upstream={"api_key_file": str(file)}))
        for secret in (SECRET, SECRET + "2"):
            file.write_text(f"{secret}\n", encoding="utf-8")
            assert self.values(config) == [secret, secret]

    @pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), ("", "empty"), ("a b", "printable")])
    def test_a_file_without_a_usable_one(self, tmp_path: Path, content: str | None, message: str) -> None:
        """It may be missing for the library, which does not need it."""
        file = tmp_path / "secret"
        if content is not None:
            file.write_text(content, encoding="utf-8")
        config = load(service(auth={"admin_key_file": str(file)}, upstream={"api_key_file": str(file)}))
        for read, key in ((config.admin_key, "auth.admin_key_file"), (config.upstream_key, "upstream.api_key_file")):
            with pytest.raises(ConfigError, match=message) as caught:
                read()
            assert caught.value.key_path == f"{PATH}.{key}"

    def test_it_is_in_no_repr(self) -> None:
        config = load(service(auth={"admin_key": SECRET}, upstream={"api_key": SECRET}))
        assert SECRET not in f"{config!r} {config.service!r} {config.service.model_dump()}"

    @pytest.mark.parametrize(
        "section",
        [
            {"auth": {"admin_key": f"{SECRET} "}},
            {"auth": {"admin_key": [SECRET]}},
            {"auth": {"admin_keys": SECRET}},
            {"auth": {"admin_key": SECRET, "admin_key_file": "x"}},
            {"upstream": {"api_key": f"{SECRET}\n"}},
            {"upstream": {"api_key": {"a": SECRET}}},
        ],
    )
    def test_it_is_in_no_error(self, section: dict[str, Any]) -> None:
        assert SECRET not in str(refused(service(**section)))

    def test_the_upstreams_authority_is_read_as_a_pem(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        config = load(service(upstream={"url": "https://a", "tls_ca_path": str(file)}))
        file.write_bytes(b"-----BEGIN CERTIFICATE-----")
        assert config.upstream_ca() == b"-----BEGIN CERTIFICATE-----"
        file.write_bytes(b"none")
        with pytest.raises(ConfigError, match="no PEM"):
            config.upstream_ca()
        assert load(service()).upstream_ca() is None
