"""Reads manifests of Kubernetes and configurations of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Objects", "directives", "documents", "objects", "size"]

Objects = dict[tuple[str, str], dict[str, Any]]
"""Manifests by kind and name."""

_UNITS = {"gb": 2**30, "mb": 2**20, "Gi": 2**30, "Mi": 2**20}


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def objects(paths: Iterable[Path]) -> Objects:
    """The objects of these files, kustomizations apart."""
    found = (document for path in paths if path.name != "kustomization.yaml" for document in documents(path))
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


def directives(conf: str) -> dict[str, str]:
    """The directives of a valkey.conf."""
    lines = [line.split() for line in conf.splitlines() if line.strip() and not line.strip().startswith("#")]
    return {name: " ".join(values) for name, *values in lines}


def size(text: str) -> int:
    """A size in bytes, as a server or Kubernetes writes it."""
    return int(text[:-2]) * _UNITS[text[-2:]]
