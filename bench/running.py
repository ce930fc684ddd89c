"""Benchmarks one after the other, each in a process of its own, and what came of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from bench.catalogue import ROOT, Benchmark
from bench.document import UnreadableDocument, read

__all__ = ["Ran", "run", "run_all", "summary"]


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one benchmark.

    Attributes:
        state: ``done``, ``FAILED: why`` or ``skipped: why``.
        seconds: It took; 0 when it was skipped.
        met, missed: Numbers of targets, over all parts of the document.
    """

    name: str
    state: str
    seconds: float = 0.0
    met: int = 0
    missed: int = 0

    @property
    def failed(self) -> bool:
        """A missed target is no failure, a benchmark that did not come to its end is."""
        return self.state.startswith("FAILED")


def run_all(benchmarks: Sequence[Benchmark], *, quick: bool, data: Sequence[str], results: Path) -> list[Ran]:
    """Runs them in turn; one that fails does not stop the others.

    Args:
        quick: Whether their quick runs.
        data: Evaluation data, for those that read such.
        results: Folder of the documents.
    """
    here = {one.name: _missing(one, quick, data) for one in benchmarks}
    total = sum(_minutes(one, quick) for one in benchmarks if not here[one.name])
    print(f"about {total:g} minutes on two processors; leave the machine alone meanwhile\n", flush=True)
    ran = []
    for benchmark in benchmarks:
        why = here[benchmark.name]
        if why:
            ran.append(Ran(benchmark.name, f"skipped: {why}"))
            print(f"== {benchmark.name}: skipped: {why}\n", flush=True)
            continue
        print(f"== {benchmark.name}: {benchmark.answers} (about {_minutes(benchmark, quick):g} min)", flush=True)
        words = [*benchmark.arguments(quick, data), *(["--quick"] if quick else [])]
        ran.append(run(benchmark.name, words, results / f"{benchmark.name}.json"))
        print(flush=True)
    return ran


def run(name: str, words: Sequence[str], output: Path) -> Ran:
    """Runs one and reads what it wrote."""
    began = monotonic()
    command = [sys.executable, "-m", f"bench.{name}", *words, "--json", str(output.resolve())]
    before = _written(output)
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    seconds = monotonic() - began
    if code:
        return Ran(name, f"FAILED: exit code {code}", seconds)
    if _written(output) == before:
        return Ran(name, "FAILED: it wrote no document", seconds)
    try:
        document = read(output)
    except (FileNotFoundError, UnreadableDocument) as error:
        return Ran(name, f"FAILED: {error}", seconds)
    verdicts = [claim.met for part in document.parts.values() for claim in part.claims]
    return Ran(name, "done", seconds, verdicts.count(True), verdicts.count(False))


def summary(ran: Sequence[Ran]) -> str:
    """The table at the end."""
    lines = [f"{'benchmark':<12}{'took':>8}{'met':>6}{'missed':>8}  "]
    for one in ran:
        took = f"{one.seconds / 60:.1f} min" if one.seconds else ""
        counts = (str(one.met), str(one.missed)) if one.state == "done" else ("", "")
        lines.append(f"{one.name:<12}{took:>8}{counts[0]:>6}{counts[1]:>8}  {one.state}")
    return "\n".join(line.rstrip() for line in lines)


def _written(path: Path) -> int:
    """When, in nanoseconds; 0 for never. An earlier run's document is no figure of this one."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _missing(benchmark: Benchmark, quick: bool, data: Sequence[str]) -> str:
    """Why it is skipped; empty when it is not."""
    return benchmark.missing(quick, data) if benchmark.exists else "not in this checkout"


def _minutes(benchmark: Benchmark, quick: bool) -> float:
    return benchmark.quick if quick else benchmark.full
