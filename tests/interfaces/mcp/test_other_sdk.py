"""The same tests with another version of the SDK, where there is an environment that has it.

ROUTER_MEMORY_OTHER_MCP=/path/to/its/bin/python pytest tests/interfaces/mcp/test_other_sdk.py
"""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

VARIABLE = "ROUTER_MEMORY_OTHER_MCP"
HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def test_all_of_it_holds_with_the_other_version_of_the_sdk() -> None:
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"MCP with another SDK than {version('mcp')}: {VARIABLE} names no Python that has one")
    asked = "from importlib.metadata import version; print(version('mcp'))"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True, cwd=HERE).stdout.strip()
    assert found.partition(".")[0] != version("mcp").partition(".")[0]
    tests = [python, "-m", "pytest", str(HERE), "-q", "-p", "no:cacheprovider", f"--ignore={__file__}"]
    outcome = subprocess.run(tests, capture_output=True, text=True, cwd=ROOT, check=False)
    assert outcome.returncode == 0, outcome.stdout[-8000:]
