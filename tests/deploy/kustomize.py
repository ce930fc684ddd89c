"""Builds overlays with kubectl, where there is one that can."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import yaml

from tests.deploy.manifests import Objects

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NO_KUBECTL", "build", "can_build"]

LEAST = (1, 27)
"""Earlier ones hold a kustomize that does not know all that is used here."""

NO_KUBECTL = "no kubectl of 1.27 or later to build the overlays with"


@cache
def can_build() -> bool:
    """Whether overlays can be built here."""
    if shutil.which("kubectl") is None:
        return False
    told = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v(\d+)\.(\d+)", told)
    return found is not None and (int(found[1]), int(found[2])) >= LEAST


@cache
def build(folder: Path) -> Objects:
    """The objects an overlay comes to; not to be changed."""
    ran = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True)
    return {(found["kind"], found["metadata"]["name"]): found for found in yaml.safe_load_all(ran.stdout)}
