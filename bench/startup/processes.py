"""Fresh processes, started in turn and timed from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

__all__ = ["PROGRAM", "Ended", "environment", "in_turn", "medians", "ratio", "run"]

PROGRAM = (sys.executable, "-c", "from router_memory.cli import main; main()")
"""What the installed `router-memory` does."""
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended well.

    Attributes:
        ms: From its start to its end.
        processor_ms: That it worked, with the processes it waited for.
        peak_mb: Most memory that it, or one of those, held at a time. Linux counts the moment before the program is
            loaded, too, so it is never less than what this process holds, some 50 MB.
    """

    ms: float
    processor_ms: float
    peak_mb: float


def environment(**more: str) -> dict[str, str]:
    """This process's, in which this checkout is found; without options that would say something of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_MEMORY_")}
    return {**kept, "PYTHONPATH": str(_ROOT), **more}


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Ended:
    """Runs one command, its output thrown away.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=env or environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.perf_counter()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {said.read().decode(errors='replace').strip()}")
    return Ended((ended - began) * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3, usage.ru_maxrss / 1024)


def in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Ended]]:
    """Runs each command once in every round, every second round in the opposite order; a first round does not count."""
    found: dict[str, list[Ended]] = {name: [] for name in commands}
    for number in range(-1, rounds):
        for name in commands if number % 2 else reversed([*commands]):
            ended = run(commands[name])
            if number >= 0:
                found[name].append(ended)
    return found


def medians(runs: Sequence[Ended]) -> dict[str, float]:
    """The figures of a command."""
    return {
        "rounds": len(runs),
        "ms": round(median(one.ms for one in runs), 2),
        "least_ms": round(min(one.ms for one in runs), 2),
        "processor_ms": round(median(one.processor_ms for one in runs), 2),
        "peak_mb": round(median(one.peak_mb for one in runs), 1),
    }


def ratio(ours: Sequence[Ended], floor: Sequence[Ended], *, processor: bool = False) -> float:
    """The median of the rounds' ratios, of times or of processor times, which other load changes least."""
    pairs = zip(ours, floor, strict=True)
    each = [one.processor_ms / other.processor_ms if processor else one.ms / other.ms for one, other in pairs]
    return round(float(median(each)), 4)
