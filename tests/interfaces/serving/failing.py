"""A worker process that cannot start while the file ``fail`` lies in its temporary folder."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    if (Path(os.environ["TMPDIR"]) / "fail").exists():
        sys.exit(1)
    runpy.run_module("tests.interfaces.serving.worker", run_name="__main__")
