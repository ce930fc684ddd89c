"""Times the stages of a request: `python -m bench.stages [--json OUT] [--seed N]`.

Every round of a stage follows one embedding of a query in the same process; what counts is the ratio of
the two medians. The table goes to the terminal, the figures to bench/results/local/stages.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pytest

from bench.stages.report import summary, table

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "results" / "local" / "stages.json"


def main() -> int:
    """Runs the benchmark; the exit code is pytest's."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    parser.add_argument("--json", type=Path, default=OUTPUT, metavar="OUT", help="where to write the figures")
    parser.add_argument("--seed", type=int, default=20260301)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        code = pytest.main(
            [
                str(HERE),
                "--override-ini=addopts=--strict-markers --strict-config",
                "--benchmark-only",
                "--benchmark-quiet",
                f"--benchmark-json={figures}",
                f"--seed={arguments.seed}",
                f"--basetemp={folder}/data",
                "-p",
                "no:cacheprovider",
                "--quiet",
                "--no-header",
            ]
        )
        if code != pytest.ExitCode.OK:
            return int(code)
        raw = json.loads(figures.read_text(encoding="utf-8"))
    document = summary(raw, seed=arguments.seed, command=f"python -m bench.stages --seed {arguments.seed}")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"\n{table(document)}\n\nwritten to {arguments.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
