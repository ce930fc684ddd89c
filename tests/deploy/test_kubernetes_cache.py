"""The manifests of k8s/overlays/cache add a server for the hot cache to the base, and say so to the gateways."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from router_memory.config import load_config
from tests.deploy.manifests import directives, documents, objects, size

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
OVERLAY = FOLDER / "overlays" / "cache"
README = (FOLDER / "README.md").read_text()
SELECTOR = {"app.kubernetes.io/name": "valkey-cache"}

BASE = objects((FOLDER / "base").glob("*.yaml"))
OBJECTS = objects(OVERLAY.glob("*.yaml"))
(KUSTOMIZATION,) = documents(OVERLAY / "kustomization.yaml")
SERVER = OBJECTS["Deployment", "valkey-cache"]["spec"]
POD = SERVER["template"]["spec"]
(CONTAINER,) = POD["containers"]
SETTINGS = OBJECTS["ConfigMap", "valkey-cache-server"]["data"]
CONF = directives(SETTINGS["valkey.conf"])
((_, EXAMPLE),) = objects([FOLDER / "example-client.yaml"]).items()
GATEWAY = EXAMPLE["spec"]["template"]
(CLIENT,) = GATEWAY["spec"]["containers"]


def test_kustomize_has_every_file_and_the_base() -> None:
    patches = [patch["path"] for patch in KUSTOMIZATION["patches"]]
    assert sorted([*KUSTOMIZATION["resources"], *patches, "kustomization.yaml"]) == sorted(
        ["../../base", *(path.name for path in OVERLAY.iterdir())]
    )
    assert ("Namespace", KUSTOMIZATION["namespace"]) in BASE
    assert all(name in README for name in [*patches, *KUSTOMIZATION["resources"][1:]])


def test_only_the_patch_has_the_name_of_something_in_the_base() -> None:
    assert set(OBJECTS) & set(BASE) == {("ConfigMap", "router-memory")}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl to build the overlay with")
def test_the_overlay_builds_to_the_base_with_the_cache_and_another_configuration() -> None:
    ran = subprocess.run(["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, check=True)
    built = {(found["kind"], found["metadata"]["name"]): found for found in yaml.safe_load_all(ran.stdout)}
    assert set(built) == set(BASE) | set(OBJECTS)
    assert built["ConfigMap", "router-memory"]["data"] == OBJECTS["ConfigMap", "router-memory"]["data"]
    assert built["StatefulSet", "valkey"]["spec"] == BASE["StatefulSet", "valkey"]["spec"]
    spaces = {found["metadata"].get("namespace") for (kind, _), found in built.items() if kind != "Namespace"}
    assert spaces == {KUSTOMIZATION["namespace"]}


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
    assert source["podSelector"]["matchLabels"].items() <= GATEWAY["metadata"]["labels"].items()
    assert [port["port"] for port in rule["ports"]] == [int(CONF["port"])]


def test_the_password_is_in_a_secret_of_its_own() -> None:
    (of_server,) = [entry["valueFrom"]["secretKeyRef"] for entry in CONTAINER["env"]]
    (of_client,) = [entry["valueFrom"]["secretKeyRef"] for entry in CLIENT["env"] if entry["name"] == "CACHE_PASSWORD"]
    assert of_server == {"name": "valkey-cache", "key": "password"}
    assert of_client == {**of_server, "optional": True}  # the example serves the base alone, too
    assert not [kind for kind, _ in OBJECTS if kind == "Secret"]
    assert f"create secret generic {of_server['name']} --from-literal={of_server['key']}=" in README


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


def test_the_gateways_configuration_is_the_one_of_the_repository(tmp_path: Path) -> None:
    text = OBJECTS["ConfigMap", "router-memory"]["data"]["config.yaml"]
    assert text == (ROOT / "config" / "cache.yaml").read_text()
    file = tmp_path / "config.yaml"
    file.write_text(text)
    config = load_config(file, environ={entry["name"]: entry.get("value", "a secret") for entry in CLIENT["env"]})
    assert config.warnings == ()
    cache = config.memory.redis_cache
    assert cache.enabled
    assert cache.server is not None
    host, port = cache.server
    assert ("Service", host) in OBJECTS
    assert port == int(CONF["port"])
    password = config.password("redis_cache")
    assert password is not None
    assert password.get_secret_value() == "a secret"
