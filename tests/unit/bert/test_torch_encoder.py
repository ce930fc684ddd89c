"""The model over torch: how it is loaded, and what loading leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pytest

from router_memory.backends.bert.torch_encoder import load_torch
from router_memory.errors import EmbeddingError
from tests.unit.bert.test_encoder import LONG

if TYPE_CHECKING:
    from pathlib import Path

    from router_memory.backends.bert.torch_encoder import TorchEncoder

pytestmark = pytest.mark.model


def test_splitting_loses_no_token(encoder: TorchEncoder) -> None:
    """The tokens of the parts are those of the text."""
    texts = [part.text.removeprefix("passage: ") for part in encoder.split_passage(LONG)]
    tokenize = encoder.model.tokenizer.tokenize
    assert [token for text in texts for token in tokenize(text)] == tokenize(LONG)


def test_counted_tokens_are_those_the_model_gets(encoder: TorchEncoder) -> None:
    """Prefix and special tokens included: so nothing is truncated."""
    for part in encoder.split_passage(LONG):
        assert encoder.features([part.text])["input_ids"].shape == (1, part.tokens)


def test_a_directory_that_holds_no_model_is_an_error(tmp_path: Path) -> None:
    """With the library's own error."""
    with pytest.raises(EmbeddingError, match="cannot be loaded"):
        load_torch(tmp_path)


def _python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TOKENIZERS_"))}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=environment
    )


def test_importing_the_room_loads_no_model_library() -> None:
    """The event loop imports it; torch comes later, on the worker's thread."""
    heavy = {"torch", "sentence_transformers", "onnxruntime", "tokenizers"}
    code = f"import sys, router_memory.backends.bert as _; print({heavy!r} & set(sys.modules))"
    assert _python(code).stdout.strip() == "set()"


@pytest.fixture(scope="module")
def after_load(model_directory: Path) -> tuple[dict[str, object], str]:
    """What a process looks like that loaded the model with one thread: its state, and what was printed on stderr."""
    done = _python(f"""
import json, os, pathlib
before = dict(os.environ)
from router_memory.backends.bert.torch_encoder import load_torch
load_torch(pathlib.Path({str(model_directory)!r}), threads=1)
import torch
from transformers.utils import logging
changed = [key for key in os.environ if before.get(key) != os.environ[key]]
bars = logging.is_progress_bar_enabled() and getattr(logging, "_tqdm_hook", None) is None
print(json.dumps({{"changed": changed, "bars": bars, "threads": torch.get_num_threads()}}))
""")
    state: dict[str, object] = json.loads(done.stdout)
    return state, done.stderr


def test_loading_is_quiet(after_load: tuple[dict[str, object], str]) -> None:
    """No progress bar and no warning on stderr."""
    assert after_load[1] == ""


def test_loading_leaves_no_settings_behind(after_load: tuple[dict[str, object], str]) -> None:
    """The host's own progress bars work as before, and the environment is as it was."""
    assert after_load[0]["bars"] is True
    assert not [key for key in cast("list[str]", after_load[0]["changed"]) if key.startswith(("HF_", "TOKENIZERS_"))]


def test_threads_are_set_when_asked_for(after_load: tuple[dict[str, object], str]) -> None:
    """Torch has one number for the process, so this is looked at in another one."""
    assert after_load[0]["threads"] == 1
