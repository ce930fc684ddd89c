"""What a runtime takes, measured in a process of its own: ``python -m router_memory.backends.bert.measuring JOB``."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from router_memory.backends.bert.cpus import model_threads, wide_threads
from router_memory.backends.bert.onnx.sessions import wait_for_wide
from router_memory.backends.bert.processes import end_with_parent, run_module
from router_memory.backends.bert.runtimes import TORCH
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.backends.bert.source import Source

__all__ = ["Measured", "main", "measure"]

_MODULE = "router_memory.backends.bert.measuring"
_SHORT = "What did we say about the trip last summer?"
_QUERIES, _WARM_UPS = 200, 20
_PASSAGES = 256
_SENTENCE = "On day {} of the walk it rained for {} hours, and we were glad of every roof we found. "
_SECONDS = 600.0
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Measured:
    """One runtime.

    Attributes:
        runtime: Which.
        load_seconds: From nothing imported to the first vector.
        query_ms: One short text, the median of many one after another, in milliseconds.
        texts_per_second: Of many passages of one to six sentences at once.
        resident_bytes: Of the whole process, afterwards; 0 where the system does not say.
        threads: The model computes on.
        wide_threads: It computes on where that is faster, see `wide_threads`; 0 for never.
    """

    runtime: str
    load_seconds: float
    query_ms: float
    texts_per_second: float
    resident_bytes: int
    threads: int
    wide_threads: int


def measure(source: Source, runtime: str, *, batch_size: int) -> Measured:
    """Measures a runtime in a fresh process. An export that it needs should be there already.

    Args:
        source: The model.
        runtime: One of `RUNTIMES`.
        batch_size: As of `BertEmbedder`.

    Raises:
        EmbeddingError: It does not work.
    """
    job = {
        "model": str(source.directory),
        "query_prefix": source.query_prefix,
        "passage_prefix": source.passage_prefix,
        "threads": source.threads,
        "cache": None if source.cache is None else str(source.cache),
        "batch_size": batch_size,
        "runtime": runtime,
    }
    try:
        done = run_module(_MODULE, job, seconds=_SECONDS)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise EmbeddingError(f"the embedding runtime {runtime} cannot be measured: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"]
        raise EmbeddingError(f"the embedding runtime {runtime} cannot be measured: {said[-1]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def main(arguments: Sequence[str]) -> int:
    """Does the job in the first argument, which is JSON, and prints a `Measured`. Returns the exit code."""
    sys.stdout.write(json.dumps(asdict(asyncio.run(_measured(json.loads(arguments[0]))))) + "\n")
    return 0


async def _measured(job: dict[str, Any]) -> Measured:
    began = perf_counter()
    from router_memory.backends.bert.embedder import BertEmbedder

    cache = job.pop("cache")
    embedder = BertEmbedder(**job, cache=None if cache is None else Path(cache))
    try:
        await embedder.open()
        load = perf_counter() - began
        times = []
        for number in range(_WARM_UPS + _QUERIES):
            if number == _WARM_UPS // 2:
                wait_for_wide()  # as it is for requests but the first few
            began = perf_counter()
            await embedder.embed_query(_SHORT)
            times.append(perf_counter() - began)
        texts = ["".join(_SENTENCE.format(n, n % 7) for n in range(m, m + 1 + m % 6)) for m in range(_PASSAGES)]
        began = perf_counter()
        await embedder.embed_passages(texts)
        rate = _PASSAGES / (perf_counter() - began)
        wide = 0 if embedder.runtime == TORCH else wide_threads(job["threads"])
        query_ms = median(times[_WARM_UPS:]) * 1000
        return Measured(embedder.runtime, load, query_ms, rate, _resident(), model_threads(job["threads"]), wide)
    finally:
        await embedder.close()


def _resident() -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:  # only Linux has it
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1:]))
