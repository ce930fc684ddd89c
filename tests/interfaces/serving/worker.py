"""The worker process with an embedder that needs no model: ``python -m tests.interfaces.serving.worker``."""

from __future__ import annotations

import router_memory.wiring
from router_memory.serving.worker import leave, main
from tests.doubles import HashingEmbedder

if __name__ == "__main__":
    setattr(router_memory.wiring, "BertEmbedder", lambda *_, **__: HashingEmbedder())  # noqa: B010 - not exported
    leave(main())
