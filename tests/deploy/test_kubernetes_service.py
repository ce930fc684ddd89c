"""The service's manifests fit its configuration, its probes and its image, in the base and in every overlay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from router_memory import __version__
from router_memory.config import Config, load_config
from tests.deploy.kustomize import NO_KUBECTL, build, can_build
from tests.deploy.manifests import Objects, objects, size
from tests.servers.certificates import Authority

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
BASE = objects((FOLDER / "base").glob("*.yaml"))
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
SELECTOR = {"app.kubernetes.io/name": "router-memory"}
SPEC = BASE["Deployment", "router-memory"]["spec"]
POD = SPEC["template"]["spec"]
(CONTAINER,) = POD["containers"]
GUIDE = (ROOT / "docs" / "kubernetes.md").read_text()


def configured(found: Objects, tmp_path: Path, name: str = "router-memory") -> Config:
    """The configuration as a pod of the deployment loads it, with what it mounts below a folder of the test's."""
    pod = found["Deployment", name]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environ = {entry["name"]: mounted(tmp_path, entry.get("value", "")) for entry in container["env"]}
    if "secrets" in {volume["name"] for volume in pod["volumes"]}:
        environ["API_KEYS_FILE"] = mounted(tmp_path, "/etc/router-memory/secrets/api-keys.yaml")
        environ["ADMIN_KEY_FILE"] = mounted(tmp_path, "/etc/router-memory/secrets/admin-key")
    file = tmp_path / "config.yaml"
    file.write_text(found["ConfigMap", "router-memory"]["data"]["config.yaml"])
    return load_config(file, environ=environ)


def mounted(folder: Path, value: str) -> str:
    """The value, or where a file that it names was made."""
    if not value.startswith("/etc/router-memory/"):
        return value
    file = folder / value[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.name == "ca.crt":
        file.write_bytes(Authority(folder / "authority", "ca").pair.certificate.read_bytes())
    elif not file.exists():
        file.write_text("a secret that is long enough")
    return str(file)


def test_the_configuration_is_the_one_of_the_repository() -> None:
    assert (
        BASE["ConfigMap", "router-memory"]["data"]["config.yaml"] == (ROOT / "config" / "kubernetes.yaml").read_text()
    )


def test_a_pod_of_the_base_loads_it_and_means_the_server_beside_it(tmp_path: Path) -> None:
    config = configured(BASE, tmp_path)
    assert config.warnings == ()
    host, port = config.memory.valkey.servers[0]
    (open_port,) = BASE["Service", host]["spec"]["ports"]
    assert open_port["port"] == port
    assert not config.memory.redis_cache.enabled
    assert config.memory.service.port == CONTAINER["ports"][0]["containerPort"]
    assert "header" not in config.memory.service.auth.modes  # whoever reaches a pod could name any user


def test_a_gateway_that_holds_the_library_loads_it_too(tmp_path: Path) -> None:
    example = objects([FOLDER / "example-client.yaml"])
    assert configured({**BASE, **example}, tmp_path, "gateway").warnings == ()


def test_files_that_the_environment_names_are_mounted() -> None:
    mounts = {mount["name"]: Path(mount["mountPath"]) for mount in CONTAINER["volumeMounts"]}
    named = [Path(entry["value"]) for entry in CONTAINER["env"] if entry.get("value", "").startswith("/")]
    assert named
    for path in named:
        assert any(path.is_relative_to(mount) for mount in mounts.values()), path
    assert set(mounts) == {volume["name"] for volume in POD["volumes"]}


def test_the_guide_makes_every_secret_that_the_base_needs() -> None:
    secrets = {volume["secret"]["secretName"] for volume in POD["volumes"] if "secret" in volume}
    for name in secrets:
        assert f"create secret generic {name} " in GUIDE
    for name in ("api-keys.yaml", "admin-key"):
        assert name in GUIDE


def test_names_lead_to_the_pods() -> None:
    assert SPEC["selector"]["matchLabels"] == SELECTOR
    assert SELECTOR.items() <= SPEC["template"]["metadata"]["labels"].items()
    assert BASE["Service", "router-memory"]["spec"]["selector"] == SELECTOR
    for kind, where in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert BASE[kind, "router-memory"]["spec"][where]["matchLabels"] == SELECTOR
    assert BASE["HorizontalPodAutoscaler", "router-memory"]["spec"]["scaleTargetRef"]["name"] == "router-memory"
    for spread in POD["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == SELECTOR
    assert "replicas" not in SPEC  # it would undo the autoscaler at each apply


def test_the_server_lets_the_service_through_and_the_service_may_go_there() -> None:
    (rule,) = BASE["NetworkPolicy", "valkey"]["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= SPEC["template"]["metadata"]["labels"].items()
    egress = BASE["NetworkPolicy", "router-memory"]["spec"]["egress"]
    reached = egress[0]["to"][0]["podSelector"]["matchExpressions"][0]["values"]
    assert reached == ["valkey", "valkey-cache"]


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_no_probe_hangs_on_the_store(probe: str) -> None:
    """A server that is away would take every pod out of the service, and every chat with it."""
    assert CONTAINER[probe]["httpGet"]["path"] in ("/livez", "/readyz?for=chats")


def test_a_pod_is_given_the_time_it_asks_for_to_end(tmp_path: Path) -> None:
    config = configured(BASE, tmp_path)
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = pause + config.memory.service.drain_seconds + config.memory.write.drain_seconds
    assert POD["terminationGracePeriodSeconds"] > needed


def test_the_pod_has_no_more_rights_than_it_needs() -> None:
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert size(CONTAINER["resources"]["limits"]["memory"]) >= 2**30


def test_the_image_is_of_this_version_and_runs_as_its_user() -> None:
    assert CONTAINER["image"] == f"router-memory:{__version__}"
    user = POD["securityContext"]["runAsUser"]
    assert re.search(rf"^USER {user}:{POD['securityContext']['runAsGroup']}$", (ROOT / "Dockerfile").read_text(), re.M)


@pytest.mark.skipif(not can_build(), reason=NO_KUBECTL)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_of_an_overlay_loads_its_configuration(overlay: str, tmp_path: Path) -> None:
    built = build(FOLDER / "overlays" / overlay)
    config = configured(built, tmp_path)
    assert config.warnings == ()
    assert config.memory.redis_cache.enabled == (("Deployment", "valkey-cache") in built)
    assert config.memory.valkey.cluster == (built["StatefulSet", "valkey"]["spec"]["replicas"] > 1)
    pod: dict[str, Any] = built["Deployment", "router-memory"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert len({entry["name"] for entry in container["env"]}) == len(container["env"])


@pytest.mark.skipif(not can_build(), reason=NO_KUBECTL)
def test_production_encrypts_the_way_to_both_servers(tmp_path: Path) -> None:
    built = build(FOLDER / "overlays" / "production")
    config = configured(built, tmp_path)
    assert config.memory.valkey.tls_enabled
    assert config.memory.redis_cache.tls_enabled
    for kind, name in (("StatefulSet", "valkey"), ("Deployment", "valkey-cache")):
        (container,) = built[kind, name]["spec"]["template"]["spec"]["containers"]
        assert "/etc/valkey-tls" in {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"name": "VALKEY_CLI_TLS", "value": "--tls --cacert /etc/valkey-tls/ca.crt"} in container["env"]
