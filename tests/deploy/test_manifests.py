"""Every document of k8s/ is one that Kubernetes takes, by itself and as the overlays come out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.kustomize import NO_KUBECTL, build, can_build
from tests.deploy.manifests import documents

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
OVERLAYS = ["base", *sorted(f"overlays/{path.name}" for path in (FOLDER / "overlays").iterdir())]
VERSIONS = ("1.27", "1.32", "1.37")
"""The oldest that is meant, one between, and the newest that is known."""

_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
_METADATA = {"type": "object", "required": ["name"], "properties": {"labels": _LABELS}}

# What is used of the kinds that an operator adds to a cluster, after their published definitions.
CUSTOM: dict[str, dict[str, Any]] = {
    "ServiceMonitor": {
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "metadata": _METADATA,
            "spec": {
                "type": "object",
                "required": ["selector", "endpoints"],
                "additionalProperties": False,
                "properties": {
                    "selector": {"type": "object", "properties": {"matchLabels": _LABELS}, "minProperties": 1},
                    "endpoints": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["port", "path"],
                            "additionalProperties": False,
                            "properties": {
                                "port": {"type": "string"},
                                "path": {"type": "string", "pattern": "^/"},
                                "interval": {"type": "string", "pattern": r"^\d+s$"},
                                "scrapeTimeout": {"type": "string", "pattern": r"^\d+s$"},
                            },
                        },
                    },
                },
            },
        },
    },
    "PrometheusRule": {
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "metadata": _METADATA,
            "spec": {
                "type": "object",
                "required": ["groups"],
                "properties": {
                    "groups": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name", "rules"],
                            "properties": {
                                "name": {"type": "string"},
                                "rules": {"type": "array", "items": {"type": "object", "required": ["expr"]}},
                            },
                        },
                    }
                },
            },
        },
    },
}


def check(document: dict[str, Any]) -> None:
    """Raises where Kubernetes, or the operator that adds the kind, would refuse the document."""
    if document["kind"] in CUSTOM:
        assert document["apiVersion"] == "monitoring.coreos.com/v1"
        jsonschema.validate(document, CUSTOM[document["kind"]])
        return
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


@cache
def patches() -> frozenset[Path]:
    """Files that change a document and are none by themselves."""
    found = set()
    for path in FOLDER.rglob("kustomization.yaml"):
        (kustomization,) = documents(path)
        found |= {
            (path.parent / patch["path"]).resolve() for patch in kustomization.get("patches", ()) if "path" in patch
        }
    return frozenset(found)


WHOLE = [path for path in sorted(FOLDER.rglob("*.yaml")) if path.name != "kustomization.yaml" and path not in patches()]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: str(path.relative_to(FOLDER)))
def test_kubernetes_takes_each_document(path: Path) -> None:
    for document in documents(path):
        check(document)


def test_a_document_that_is_wrong_is_not_taken() -> None:
    (document,) = documents(FOLDER / "base" / "deployment.yaml")
    document["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        check(document)


@pytest.mark.parametrize("kustomization", sorted(FOLDER.rglob("kustomization.yaml")), ids=lambda path: path.parent.name)
def test_a_kustomization_has_every_file_of_its_folder_and_no_other(kustomization: Path) -> None:
    (found,) = documents(kustomization)
    named = [*found.get("resources", ()), *(patch["path"] for patch in found.get("patches", ()) if "path" in patch)]
    beside = {path.name for path in kustomization.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in named if "/" not in name} == beside
    for name in [name for name in [*named, *found.get("components", ())] if "/" in name]:
        assert (kustomization.parent / name / "kustomization.yaml").is_file()


@pytest.mark.skipif(not can_build(), reason=NO_KUBECTL)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_what_an_overlay_comes_to(overlay: str) -> None:
    built = build(FOLDER / overlay)
    for (kind, name), document in built.items():
        check(document)
        assert (kind == "Namespace") != (document["metadata"].get("namespace") == "router-memory"), name


def test_the_alerts_are_those_of_the_repository() -> None:
    (rule,) = documents(FOLDER / "components" / "monitoring" / "prometheus-rule.yaml")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())
