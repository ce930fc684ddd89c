"""The first use of an exported runtime: what making the export takes, in time and memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bench.claims import Claim
from bench.startup.processes import PROGRAM, medians, run
from bench.startup.room import configuration
from bench.startup.settings import Settings

__all__ = ["measure"]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """``model export`` into an empty folder, verification included; the process that exports has the peak."""
    figures: dict[str, Any] = {}
    claims = []
    for runtime in settings.exports:
        with tempfile.TemporaryDirectory(prefix="startup-bench-") as name:
            folder = Path(name)
            file = configuration(folder, runtime, cache=folder / "models")
            made = run([*PROGRAM, "model", "export", "--runtime", runtime, "--config", str(file)])
            files = sum(path.stat().st_size for path in (folder / "models").rglob("*") if path.is_file())
        figures[runtime] = medians([made]) | {"files_mb": round(files / 2**20, 1)}
        claims += [
            Claim(f"export for {runtime}, seconds", round(made.ms / 1e3, 2)),
            Claim(f"export for {runtime}, most memory of a process, MB", round(made.peak_mb, 1)),
        ]
    return figures, claims
