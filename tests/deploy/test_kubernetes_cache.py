"""The manifests of k8s/overlays/cache add a server for the hot cache to the base, and say so to the gateways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deploy.manifests import directives, documents, objects, size

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
OVERLAY = FOLDER / "overlays" / "cache"
GUIDE = (ROOT / "docs" / "kubernetes.md").read_text()
SELECTOR = {"app.kubernetes.io/name": "valkey-cache"}

BASE = objects((FOLDER / "base").glob("*.yaml"))
OBJECTS = objects(OVERLAY.glob("*.yaml"))
(KUSTOMIZATION,) = documents(OVERLAY / "kustomization.yaml")
SERVER = OBJECTS["Deployment", "valkey-cache"]["spec"]
POD = SERVER["template"]["spec"]
(CONTAINER,) = POD["containers"]
SETTINGS = OBJECTS["ConfigMap", "valkey-cache-server"]["data"]
CONF = directives(SETTINGS["valkey.conf"])
SERVICE = BASE["Deployment", "router-memory"]["spec"]["template"]


def test_the_overlay_stands_on_the_base() -> None:
    assert KUSTOMIZATION["resources"][0] == "../../base"
    assert set(OBJECTS) & set(BASE) == {("Deployment", "router-memory")}  # a patch


def test_there_is_one_server_and_never_two_at_once() -> None:
    """Two behind one service would be two caches: what one was told to forget the other still has."""
    assert SERVER["replicas"] == 1
    assert SERVER["strategy"] == {"type": "Recreate"}


def test_the_image_is_of_the_release_of_the_store() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert CONTAINER["image"] == compose["services"]["cache"]["image"]
    (store,) = BASE["StatefulSet", "valkey"]["spec"]["template"]["spec"]["containers"]
    assert CONTAINER["image"].partition(":")[2] == store["image"].partition(":")[2]


def test_the_service_leads_to_the_server() -> None:
    service = OBJECTS["Service", "valkey-cache"]["spec"]
    assert service["selector"] == SELECTOR == SERVER["selector"]["matchLabels"]
    assert SELECTOR.items() <= SERVER["template"]["metadata"]["labels"].items()
    (port,), (open_port,) = service["ports"], CONTAINER["ports"]
    assert port["targetPort"] == open_port["name"]
    assert port["port"] == open_port["containerPort"] == int(CONF["port"])


def test_a_gateway_is_let_through_to_the_port_and_nobody_else() -> None:
    policy = OBJECTS["NetworkPolicy", "valkey-cache"]["spec"]
    assert policy["podSelector"]["matchLabels"] == SELECTOR
    assert policy["egress"] == []
    (rule,) = policy["ingress"]
    (source,) = rule["from"]
    assert source["podSelector"]["matchLabels"].items() <= SERVICE["metadata"]["labels"].items()
    assert [port["port"] for port in rule["ports"]] == [int(CONF["port"])]


def test_the_password_is_in_a_secret_of_its_own() -> None:
    (of_server,) = [entry["valueFrom"]["secretKeyRef"] for entry in CONTAINER["env"] if "valueFrom" in entry]
    (volume,) = OBJECTS["Deployment", "router-memory"]["spec"]["template"]["spec"]["volumes"]
    assert of_server == {"name": volume["secret"]["secretName"], "key": "password"}
    assert not [kind for kind, _ in OBJECTS if kind == "Secret"]
    assert f"the secret `{of_server['name']}` with `{of_server['key']}`" in GUIDE


def test_nothing_is_on_a_disk_and_a_full_cache_evicts() -> None:
    assert (CONF["save"], CONF["appendonly"]) == ('""', "no")
    assert CONF["maxmemory-policy"] == "allkeys-lru"
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == set(volumes)
    assert volumes["run"]["emptyDir"]["medium"] == "Memory"
    assert ("ConfigMap", volumes["server-config"]["configMap"]["name"]) in OBJECTS
    assert len(volumes) == 2


def test_the_memory_fits_into_the_container_and_the_container_leaves_room() -> None:
    resources = CONTAINER["resources"]
    assert size(resources["limits"]["memory"]) >= 1.5 * size(CONF["maxmemory"])
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_the_pod_has_no_more_rights_than_it_needs() -> None:
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] > 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe"])
def test_a_probe_logs_in_and_ends_before_it_is_given_up(probe: str) -> None:
    shell = CONTAINER[probe]["exec"]["command"][-1]
    assert 'REDISCLI_AUTH="$VALKEY_PASSWORD"' in shell
    assert int(shell.split("timeout ")[1].split()[0]) < CONTAINER[probe]["timeoutSeconds"]


def test_the_start_script_is_the_one_of_the_base_but_for_the_program() -> None:
    """The base's is run, with any password."""
    of_base = BASE["ConfigMap", "valkey-server"]["data"]["start.sh"]
    assert SETTINGS["start.sh"] == of_base.replace("bundle-docker-entrypoint.sh ", "")


def test_a_server_takes_the_configuration(own_server: OwnServer) -> None:
    given = {name: value for name, value in CONF.items() if name not in ("port", "bind")}
    server = own_server(config={**given, "save": ""})
    assert server.ask("CONFIG", "GET", "maxmemory") == [b"maxmemory", str(size(CONF["maxmemory"])).encode()]
    assert server.ask("CONFIG", "GET", "maxmemory-policy") == [b"maxmemory-policy", b"allkeys-lru"]
