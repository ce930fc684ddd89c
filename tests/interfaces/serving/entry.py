"""The command line, whose `serve` starts those workers: ``python -m tests.interfaces.serving.entry serve …``."""

from __future__ import annotations

import functools
import json
import os

from router_memory.cli import main
from router_memory.serving import parent
from router_memory.serving.seats import Tempo

if __name__ == "__main__":
    tempo = Tempo(**json.loads(os.environ.get("TEST_TEMPO", "{}")))
    parent.Parent = functools.partial(  # type: ignore[assignment,misc]
        parent.Parent, worker=os.environ.get("TEST_WORKER", "tests.interfaces.serving.worker"), tempo=tempo
    )
    main()
