"""Times the stages of a request: `python -m bench.stages [--quick] [--json OUT] [--seed N] [--repeat N]`.

Every round of a stage follows one embedding of a query in the same process; what counts is the ratio of
the two medians. The table goes to the terminal, the figures to bench/results/local/stages.json. Of several
runs the calmest is kept, with the ratios of all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bench.document import Document, write
from bench.environment import load
from bench.stages.measure import QUICK_ROUNDS, ROUNDS, WARMUP
from bench.stages.report import calmest, measured, summary, table

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "results" / "local" / "stages.json"
SEED = 20260301
NAME = "stages"


def main() -> int:
    """Runs the benchmark; the exit code is 1 when a stage failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    parser.add_argument("--json", type=Path, default=OUTPUT, metavar="OUT", help="where to write the figures")
    parser.add_argument("--seed", type=int, default=SEED, help="of the generated conversations")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="number of runs, ≥ 1, of a minute each")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds a stage in place of {ROUNDS}")
    arguments = parser.parse_args()
    repeat, rounds = max(arguments.repeat, 1), QUICK_ROUNDS if arguments.quick else ROUNDS
    before = load()
    runs = []
    for _ in range(repeat):
        raw = _figures(arguments.seed, rounds)
        if raw is None:
            return 1
        runs.append(summary(raw))
    found = calmest(runs)
    part = measured(
        found,
        command=f"python -m bench.stages --seed {arguments.seed} --repeat {repeat}{' --quick' * arguments.quick}",
        seed=arguments.seed,
        quick=arguments.quick,
        settings={"rounds": rounds, "warmup": WARMUP, "repeat": repeat},
        facts={"load_before": before},
    )
    write(Document(benchmark=NAME, parts={NAME: part}), arguments.json)
    print(f"\n{table(found)}\n\nwritten to {arguments.json}")
    return 0


def _figures(seed: int, rounds: int) -> dict[str, Any] | None:
    """What pytest-benchmark measured; ``None`` when a stage failed."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        code = pytest.main(
            [
                str(HERE),
                "--override-ini=addopts=--strict-markers --strict-config",
                "--benchmark-only",
                "--benchmark-quiet",
                f"--benchmark-json={figures}",
                f"--seed={seed}",
                f"--rounds={rounds}",
                f"--basetemp={folder}/data",
                "-p",
                "no:cacheprovider",
                "--quiet",
                "--no-header",
            ]
        )
        if code != pytest.ExitCode.OK:
            return None
        measured: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
        return measured


if __name__ == "__main__":
    sys.exit(main())
