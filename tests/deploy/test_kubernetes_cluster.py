"""The script of k8s/overlays/cluster makes a cluster of nodes that are none, and leaves one that is as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.deploy.manifests import documents, objects

FOLDER = Path(__file__).parents[2] / "k8s"
BASE = objects((FOLDER / "base").glob("*.yaml"))
OVERLAY = objects((FOLDER / "overlays" / "cluster").glob("*.yaml"))
SCRIPT = OVERLAY["ConfigMap", "valkey-create"]["data"]["create.sh"]
(JOB,) = OVERLAY["Job", "valkey-create"]["spec"]["template"]["spec"]["containers"]

CLI = """#!/bin/sh
# Answers like valkey-cli: the first ping of a node finds it loading, then it holds the slots of the file `slots`.
echo "$@" >> {folder}/asked
case "$*" in
    *ping) if [ -e {folder}/up ]; then echo PONG; else touch {folder}/up; echo LOADING; fi;;
    *"cluster info") printf 'cluster_state:fail\\r\\ncluster_slots_assigned:%s\\r\\n' "$(cat {folder}/slots)";;
esac
"""


def ran(folder: Path, *, slots: int) -> list[str]:
    """What the script asked the command line client for, with nodes that hold so many slots."""
    for name, text in {"valkey-cli": CLI.format(folder=folder), "sleep": "#!/bin/sh\n", "slots": str(slots)}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "NODES": "127.0.0.1:7001 127.0.0.2:7002", "REDISCLI_AUTH": "pw"}
    subprocess.run(["sh", "-c", SCRIPT], env=environment, check=True, capture_output=True)
    return (folder / "asked").read_text().splitlines()


def test_a_cluster_is_made_of_nodes_that_hold_nothing_once_all_answer(tmp_path: Path) -> None:
    asked = ran(tmp_path, slots=0)
    assert asked[:2] == ["-h 127.0.0.1 -p 7001 ping"] * 2
    assert asked[-1] == "--cluster create 127.0.0.1:7001 127.0.0.2:7002 --cluster-replicas 1 --cluster-yes"


@pytest.mark.parametrize("slots", [1, 16384])
def test_nodes_that_hold_slots_are_left_as_they_are(tmp_path: Path, slots: int) -> None:
    assert not [line for line in ran(tmp_path, slots=slots) if "create" in line]


def test_every_node_is_named_and_half_of_them_are_replicas() -> None:
    (server,) = documents(FOLDER / "overlays" / "cluster" / "valkey.yaml")
    (nodes,) = [entry["value"].split() for entry in JOB["env"] if entry["name"] == "NODES"]
    headless = BASE["StatefulSet", "valkey"]["spec"]["serviceName"]
    assert nodes == [f"valkey-{number}.{headless}:6379" for number in range(server["spec"]["replicas"])]
    (image,) = {found["image"] for found in BASE["StatefulSet", "valkey"]["spec"]["template"]["spec"]["containers"]}
    assert JOB["image"] == image


def test_search_is_loaded_with_its_coordinator_and_the_nodes_reach_each_other() -> None:
    conf = OVERLAY["ConfigMap", "valkey-server"]["data"]["cluster.conf"]
    assert "--use-coordinator" in conf
    ports = {6379, 6379 + 10_000, 6379 + 20_294}
    policy = OVERLAY["NetworkPolicy", "valkey"]["spec"]
    for rule in (policy["ingress"][1], policy["egress"][0]):
        assert {port["port"] for port in rule["ports"]} == ports
