"""One run of the benchmark for each set, shared by the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.quality.__main__ import arguments_of, measure
from bench.quality.backend import backend

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "router_memory/demo/conversation.jsonl"
SYNTHETIC = Path(__file__).parent / "conversations.jsonl"

Run = Callable[..., dict[str, Any]]


def run(*words: str) -> dict[str, Any]:
    """The document of a run with the default configuration, without costs."""
    arguments = arguments_of([*words, "--config", str(ROOT / "config/config.yaml"), "--no-cost", "--seed", "1"])
    with backend("embedded") as where:
        return asyncio.run(measure(arguments, where))


@pytest.fixture(scope="package")
def shipped() -> dict[str, Any]:
    """The conversation of the demo."""
    return run("--data", str(SHIPPED), "--reference", "--ablate")


@pytest.fixture(scope="package")
def synthetic() -> dict[str, Any]:
    """Conversations written for these tests."""
    return run("--data", str(SYNTHETIC), f"{SYNTHETIC}:user", "--reference", "--ablate")
