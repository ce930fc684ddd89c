"""All benchmarks: what each answers, how long it takes, what it needs and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.peers.environments import ENVIRONMENTS, made
from bench.peers.products import FLOOR, RUNTIME, SHIPPED, TOLD
from tests.servers.find import NO_SEARCH, NO_SERVER, find, running

__all__ = ["BENCHMARKS", "ROOT", "Benchmark", "named"]

ROOT = Path(__file__).parents[1]
_SHIPPED = ("router_memory/demo/conversation.jsonl", "tests/quality/conversations.jsonl")

Missing = Callable[[bool, Sequence[str]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: Of its folder, ``python -m bench.<name>``.
        answers: The question it answers, in one line.
        quick: How long ``--quick`` takes on two CPUs.
        full: How long it takes without.
        needs: What it needs besides the package, for people; empty for nothing.
        missing: Why it cannot run here, given whether the run is quick and the files of `--data`; empty when it can.
        arguments: Of its command line, given the same.
    """

    name: str
    answers: str
    quick: float
    full: float
    needs: str = ""
    missing: Missing = lambda quick, data: ""
    arguments: Callable[[bool, Sequence[str]], Sequence[str]] = lambda quick, data: ()

    @property
    def exists(self) -> bool:
        """Whether this checkout holds it."""
        return (ROOT / "bench" / self.name / "__main__.py").is_file()


def _no_server(quick: bool, data: Sequence[str]) -> str:
    return "" if find().command else NO_SERVER


def _no_search(quick: bool, data: Sequence[str]) -> str:
    found = find()
    return "" if running() or (found.command and found.module) else NO_SEARCH


def _no_onnxruntime(quick: bool, data: Sequence[str]) -> str:
    return "" if find_spec("onnxruntime") else "onnxruntime is not installed: pip install -e .[onnx]"


def _no_data(quick: bool, data: Sequence[str]) -> str:
    return "" if quick or data else "no evaluation data: name its files with --data"


def _no_environments(quick: bool, data: Sequence[str]) -> str:
    lacking = sorted(
        {one.environment for one in (FLOOR, *SHIPPED, *RUNTIME, *TOLD) if not made(one.environment, ENVIRONMENTS)}
    )
    if not quick or not lacking:
        return ""
    names = ", ".join(lacking)
    return f"environments not made yet: {names}; python -m bench.peers --quick makes them, gigabytes of packages"


BENCHMARKS = (
    Benchmark(
        name="stages",
        answers="which part of a request takes how much of one embedding",
        quick=1,
        full=5,
        arguments=lambda quick, data: () if quick else ("--repeat", "3"),
    ),
    Benchmark(
        name="profile",
        answers="where the microseconds of a hit and of a miss go",
        quick=1,
        full=4,
    ),
    Benchmark(
        name="service",
        answers="what the proxy costs beside a plain pass-through",
        quick=2,
        full=8,
    ),
    Benchmark(
        name="throughput",
        answers="how many requests a second 1, 8 and 64 callers get, and what the embedding runtimes do",
        quick=2,
        full=10,
        needs="onnxruntime",
        missing=_no_onnxruntime,
    ),
    Benchmark(
        name="startup",
        answers="how long a cold start takes",
        quick=2,
        full=10,
        needs="onnxruntime",
        missing=_no_onnxruntime,
    ),
    Benchmark(
        name="cache",
        answers="what a hit and a miss of the hot cache cost, and what a day of agents saves",
        quick=2,
        full=20,
        needs="a Valkey or Redis server; with Search also its figures on a Valkey store",
        missing=_no_server,
    ),
    Benchmark(
        name="scale",
        answers="what a search, the file and opening cost at a million memories in the embedded store",
        quick=2,
        full=25,
        needs="4 GB of memory and of disk for a million",
    ),
    Benchmark(
        name="valkey",
        answers="what the Valkey store adds to its server's searches, and how it grows to a million memories",
        quick=5,
        full=40,
        needs="Valkey with Search; 10 GB of memory for a million; `--texts FILE` for graphs over embeddings",
        missing=_no_search,
    ),
    Benchmark(
        name="peers",
        answers="how speed and recall compare with mem0, LangGraph, Chroma, LanceDB and the reference",
        quick=8,
        full=35,
        needs="a package index the first time, some GB of disk; Valkey with Search for two of its rows",
        missing=_no_environments,
        arguments=lambda quick, data: () if quick or not data else ("--data", data[0]),
    ),
    Benchmark(
        name="quality",
        answers="how often the evidence of a question is found, and what is injected",
        quick=1,
        full=15,
        needs="evaluation data but for the quick run, which takes the conversations of this repository",
        missing=_no_data,
        arguments=lambda quick, data: ("--data", *(_SHIPPED if quick else (*data, "--reference", "--ablate"))),
    ),
)
"""In the order in which they run."""


def named(name: str) -> Benchmark:
    """The one of this name.

    Raises:
        KeyError: There is none.
    """
    return {one.name: one for one in BENCHMARKS}[name]
