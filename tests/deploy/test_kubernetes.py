"""The Valkey server of k8s/base keeps what it is told, and everything there runs with no more rights than it needs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from router_memory.backends.bert import Source
from router_memory.backends.bert.onnx import folder_of
from tests.deploy.manifests import directives, documents, objects, size

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
SELECTOR = {"app.kubernetes.io/name": "valkey"}


OBJECTS = objects([*(FOLDER / "base").glob("*.yaml"), *FOLDER.glob("*.yaml")])
SERVER = OBJECTS["StatefulSet", "valkey"]["spec"]
POD = SERVER["template"]["spec"]
(CONTAINER,) = POD["containers"]
GATEWAY = OBJECTS["Deployment", "gateway"]["spec"]["template"]
SETTINGS = OBJECTS["ConfigMap", "valkey-server"]["data"]
CONF = directives(SETTINGS["valkey.conf"])


def test_kustomize_has_every_file_of_the_base_and_no_other() -> None:
    (kustomization,) = documents(FOLDER / "base" / "kustomization.yaml")
    assert {*kustomization["resources"], "kustomization.yaml"} == {
        path.name for path in (FOLDER / "base").iterdir() if path.suffix == ".yaml"
    }
    assert ("Namespace", kustomization["namespace"]) in OBJECTS


@pytest.mark.parametrize("name", ["valkey", "valkey-headless"])
def test_a_service_leads_to_the_server(name: str) -> None:
    service = OBJECTS["Service", name]["spec"]
    assert service["selector"] == SELECTOR == SERVER["selector"]["matchLabels"]
    assert SELECTOR.items() <= SERVER["template"]["metadata"]["labels"].items()
    (port,) = service["ports"]
    (open_port,) = CONTAINER["ports"]
    assert port["targetPort"] == open_port["name"]
    assert port["port"] == open_port["containerPort"] == int(CONF["port"])


def test_the_stateful_set_uses_the_headless_service() -> None:
    assert OBJECTS["Service", SERVER["serviceName"]]["spec"]["clusterIP"] == "None"


def test_policies_mean_the_server() -> None:
    assert OBJECTS["NetworkPolicy", "valkey"]["spec"]["podSelector"]["matchLabels"] == SELECTOR
    assert OBJECTS["PodDisruptionBudget", "valkey"]["spec"]["selector"]["matchLabels"] == SELECTOR


def test_a_gateway_is_let_through_to_the_port_and_nobody_else() -> None:
    (rule,) = OBJECTS["NetworkPolicy", "valkey"]["spec"]["ingress"]
    (source,) = rule["from"]
    assert source["podSelector"]["matchLabels"].items() <= GATEWAY["metadata"]["labels"].items()
    assert [port["port"] for port in rule["ports"]] == [int(CONF["port"])]


def test_the_password_is_named_and_in_no_manifest() -> None:
    (password,) = [entry for entry in CONTAINER["env"] if entry["name"] == "VALKEY_PASSWORD"]
    reference = password["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "valkey", "key": "password"}
    assert not [kind for kind, _ in OBJECTS if kind == "Secret"]
    command = f"create secret generic {reference['name']} --from-literal={reference['key']}="
    assert command in (ROOT / "docs" / "kubernetes.md").read_text()


def test_what_was_written_is_kept() -> None:
    assert CONF["appendonly"] == "yes"
    assert CONF["appendfsync"] in ("everysec", "always")
    assert CONF["maxmemory-policy"] == "noeviction"
    assert CONF["search.max-worker-suspension-secs"] == "0"
    assert CONF["search.skip-rdb-load"] == "yes"
    (claim,) = SERVER["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == CONF["dir"]


def test_the_memory_fits_into_the_container_and_the_container_leaves_room() -> None:
    limit = size(CONTAINER["resources"]["limits"]["memory"])
    assert limit >= 1.5 * size(CONF["maxmemory"])
    assert CONTAINER["resources"]["requests"]["memory"] == CONTAINER["resources"]["limits"]["memory"]


def test_every_mount_has_its_volume() -> None:
    claims = {claim["metadata"]["name"] for claim in SERVER["volumeClaimTemplates"]}
    volumes = {volume["name"] for volume in POD["volumes"]} | claims
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes
    named = [
        volume["configMap"]["name"]
        for pod in (POD, GATEWAY["spec"])
        for volume in pod["volumes"]
        if "configMap" in volume
    ]
    assert {("ConfigMap", name) for name in named} <= set(OBJECTS)


def test_the_gateway_has_room_for_the_exported_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own that may be written, as its root may not, and memory for the process that exports."""
    (container,) = GATEWAY["spec"]["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in GATEWAY["spec"]["volumes"]}
    assert set(mounts) == set(volumes)
    assert not mounts["models"].get("readOnly")
    assert size(volumes["models"]["emptyDir"]["sizeLimit"]) >= 512 * 2**20
    assert size(container["resources"]["limits"]["memory"]) >= 2 * 2**30
    (cache,) = [entry["value"] for entry in container["env"] if entry["name"] == "XDG_CACHE_HOME"]
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    source = Source(ROOT, "model", 1)
    assert folder_of(source, "onnx").is_relative_to(mounts["models"]["mountPath"])


@pytest.mark.parametrize("pod", [POD, GATEWAY["spec"]], ids=["server", "gateway"])
def test_a_pod_has_no_more_rights_than_it_needs(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_probe_logs_in_and_ends_before_it_is_given_up(probe: str) -> None:
    shell = CONTAINER[probe]["exec"]["command"][-1]
    assert 'REDISCLI_AUTH="$VALKEY_PASSWORD"' in shell
    seconds = int(shell.split("timeout ")[1].split()[0])
    assert seconds < CONTAINER[probe]["timeoutSeconds"]


def test_one_image_everywhere() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert CONTAINER["image"] == compose["services"]["valkey"]["image"]


@pytest.mark.parametrize("password", ["plain", "with \"quotes\" and \\ and 'more'", "$HOME `id` %s"])
def test_the_start_script_hands_any_password_over(tmp_path: Path, password: str) -> None:
    """Run as it stands, with other folders and a server that only shows its configuration."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "etc" / "valkey.conf").write_text("port 6379\n")
    server = tmp_path / "bundle-docker-entrypoint.sh"
    server.write_text('#!/bin/sh\n[ -z "${VALKEY_PASSWORD:-}" ] || exit 9\n[ "$1" = valkey-server ] && cat "$2"\n')
    server.chmod(0o755)
    script = SETTINGS["start.sh"].replace("/etc/valkey", f"{tmp_path}/etc").replace("/run/valkey", f"{tmp_path}/run")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "VALKEY_PASSWORD": password}
    ran = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    first, *others = ran.stdout.splitlines()
    assert first == "port 6379"
    assert [line.split(" ", 1)[0] for line in others] == ["requirepass", "primaryauth"]
    (quoted,) = {line.split(" ", 1)[1] for line in others}
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\") == password
    assert (tmp_path / "run" / "valkey.conf").stat().st_mode & 0o077 == 0
