"""The composition root: a configuration becomes objects. The only importer of backends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from router_memory.backends.bert import BertEmbedder
from router_memory.backends.bert.cpus import threads_of_each
from router_memory.config import Config, load_config
from router_memory.wiring.assembly import Assembly

__all__ = ["Assembly", "assemble"]


def assemble(source: str | Path | Mapping[str, Any] | Config | None) -> Assembly:
    """The parts for a configuration, loaded or not, not opened yet.

    Raises:
        ConfigError: The configuration is wrong.
    """
    config = source if isinstance(source, Config) else load_config(source)
    embedding = config.memory.embedding
    return Assembly(
        config,
        lambda: BertEmbedder(
            config.memory.embedding_model,
            query_prefix=embedding.query_prefix,
            passage_prefix=embedding.passage_prefix,
            batch_size=embedding.batch_size,
            batch_wait_ms=embedding.batch_wait_ms,
            threads=threads_of_each(embedding.threads, config.service.workers),
            runtime=embedding.runtime,
            cache=config.model_cache,
        ),
    )
