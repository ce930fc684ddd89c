"""A virtual environment for each product, made once and used again while its pins stay the same."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.products import OURS

__all__ = ["ENVIRONMENTS", "ROOT", "NotInstalled", "environment", "made", "requirements"]

ROOT = Path(__file__).parents[2]
"""The checkout."""

ENVIRONMENTS = ROOT / "bench" / "results" / "local" / "environments"
_STAMP = "made-from"
_SECONDS = 1_800
_REASON = 500


class NotInstalled(Exception):
    """An environment could not be made; the text is the end of what pip said."""


def requirements(name: str) -> Path:
    """The pins of an environment. Ours are those of the project."""
    return (
        ROOT / "requirements" / "runtime.lock" if name == OURS else Path(__file__).with_name(f"requirements-{name}.txt")
    )


def environment(name: str, folder: Path) -> Path:
    """The Python of an environment, which is made where it is missing or made from other pins.

    Args:
        name: Of the environment.
        folder: Of all environments.

    Raises:
        NotInstalled: It could not be made.
    """
    pins = requirements(name)
    place = folder.resolve() / name
    python = place / "bin" / "python"
    if made(name, folder):
        return python
    if place.exists() and not (place / "pyvenv.cfg").is_file():
        raise NotInstalled(f"{place} is there and is no virtual environment")
    print(f"installing {name} …", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(place)])
    _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--requirement", str(pins)])
    (place / _STAMP).write_text(_wanted(pins), encoding="utf-8")
    return python


def made(name: str, folder: Path) -> bool:
    """Whether an environment is there, of today's pins."""
    stamp = folder.resolve() / name / _STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _wanted(requirements(name))


def _wanted(pins: Path) -> str:
    return hashlib.sha256(pins.read_bytes()).hexdigest()


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"not installed within {_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise NotInstalled(str(error.stderr)[-_REASON:]) from error
