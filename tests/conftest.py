"""What holds for every test."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# No clock decides a test: machines are shared and noisy. In CI the examples are the same each time, so that a run says
# something about the change; elsewhere they differ, so that they find something new.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

pytest_plugins = ["tests.servers.fixtures", "tests.servers.summary", "tests.turns"]


@pytest.fixture(scope="session", autouse=True)
def exported_models(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where every test, and every process a test starts, finds the exported model: it is made once, and kept by pytest.

    Not in the home folder of whoever runs the tests. Where pytest keeps nothing, a temporary folder serves one run.
    What another version of the exporter made is left alone. Workers of one run share the folder; the exporter's own
    lock has one of them make the model and the others wait for it.
    """
    kept = getattr(request.config, "cache", None)  # missing under -p no:cacheprovider
    try:
        folder = kept.mkdir(f"models-{_exporter()}") if kept is not None else None
    except OSError:
        folder = None
    if folder is None or not os.access(folder, os.W_OK):
        own = tmp_path_factory.getbasetemp()
        folder = (own.parent if hasattr(request.config, "workerinput") else own) / "models"
        folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "router-memory" / "models"


def _exporter() -> str:
    """A digest of the code that exports."""
    bert = Path(__file__).parents[1] / "router_memory" / "backends" / "bert"
    digest = hashlib.sha256()
    for file in [*sorted((bert / "onnx").glob("*.py")), bert / "torch_encoder.py"]:
        digest.update(f"{file.name}\0{file.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:16]
