"""Starts the processes, lets them begin together, and gathers what they did."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tests.faults.linearizability.history import Kind, Operation, read
from tests.faults.linearizability.worker import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["levels", "run"]

_ROOT = Path(__file__).parents[3]
_SECONDS = 300.0
USERS = ("ana", "ben", "cem", "dora")


def run(
    folder: Path,
    config: dict[str, Any],
    *,
    operations: int,
    processes: int = 8,
    tasks: int = 4,
    users: Sequence[str] = USERS,
    seed: int = 1,
    mutation: str = "",
) -> list[Operation]:
    """What `processes` of them did, each with several tasks, until they made `operations` altogether."""
    started: list[tuple[subprocess.Popen[str], Path]] = []
    try:
        for number in range(processes):
            history, plan_file = folder / f"history-{number}.jsonl", folder / f"plan-{number}.json"
            each = -(-operations // processes)
            plan = Plan(number, config, str(history), each, tasks, tuple(users), seed, mutation)
            plan_file.write_bytes(orjson.dumps(asdict(plan)))
            command = [sys.executable, "-m", "tests.faults.linearizability.worker", str(plan_file)]
            process = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            started.append((process, history))
        for process, _ in started:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise AssertionError(f"a process did not start:\n{process.communicate()[1]}")
        for process, _ in started:  # each waits for its line
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        done: list[Operation] = []
        for process, history in started:
            _, said = process.communicate(timeout=_SECONDS)
            assert process.returncode == 0, said
            done += read(history)
        return done
    finally:
        for process, _ in started:
            if process.poll() is None:
                process.kill()
                process.communicate()


def levels(operations: Sequence[Operation]) -> dict[str, float]:
    """Which share of the searches each level of the cache answered."""
    searches = [operation for operation in operations if operation.kind is Kind.SEARCH]
    return {level: count / len(searches) for level, count in Counter(search.level for search in searches).items()}
