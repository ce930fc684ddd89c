"""The bundled model itself: parts, vectors, and what loading leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from router_memory.backends.bert.encoder import Encoder, unit_rows
from router_memory.backends.bert.loading import load_encoder
from router_memory.backends.bert.splitting import Part
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.model

LONG = " ".join(f"On day {day} we walked {day * 3} miles to Llanfairpwllgwyngyll, and it rained." for day in range(90))


def test_vectors_are_those_of_sentence_transformers(encoder: Encoder, model_directory: Path) -> None:
    """Its own encode gives the same to 1e-5, for a batch of mixed lengths."""
    from sentence_transformers import SentenceTransformer

    texts = ["short", "Where did Caroline go last summer, and with whom?", LONG[:700]]
    reference = SentenceTransformer(str(model_directory), device="cpu", local_files_only=True)
    expected = reference.encode([f"query: {text}" for text in texts], normalize_embeddings=True)
    ours = encoder.encode([part for text in texts for part in encoder.split_query(text)])
    assert ours.dtype == np.float32
    assert ours.shape == (3, 384)
    np.testing.assert_allclose(np.sum(ours * expected, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1.0, atol=1e-6)


def test_a_long_text_is_split_without_loss(encoder: Encoder) -> None:
    """Every part fits, at sentence ends, and the tokens of the parts are those of the text."""
    parts = encoder.split_passage(LONG)
    texts = [part.text.removeprefix("passage: ") for part in parts]
    assert "".join(texts) == LONG
    assert len(parts) > 5
    assert all(part.tokens <= encoder.max_tokens == 256 for part in parts)
    assert all(text.rstrip().endswith("rained.") for text in texts)
    tokenize = encoder._model.tokenizer.tokenize
    assert [token for text in texts for token in tokenize(text)] == tokenize(LONG)


def test_counted_tokens_are_those_the_model_gets(encoder: Encoder) -> None:
    """Prefix and special tokens included: so nothing is truncated."""
    for part in encoder.split_passage(LONG):
        assert encoder._preprocess([part.text])["input_ids"].shape == (1, part.tokens)


@pytest.mark.parametrize("text", ["x" * 5000, "日本語" * 700, "🙂" * 900, "\u0301" * 3000, "ﷺ" * 400, "a-" * 2000])
def test_text_without_words_or_sentences_fits_too(encoder: Encoder, text: str) -> None:
    """Whatever the script, the parts join up and none is too long."""
    parts = encoder.split_passage(text)
    assert "".join(part.text.removeprefix("passage: ") for part in parts) == text
    assert all(part.tokens <= 256 for part in parts)


@pytest.mark.parametrize("text", ["", "   \n\t", "\0", "\0\0a", "\ud800", "ok \udfff end", "[SEP] [PAD]", "\u200b"])
def test_odd_texts_have_vectors(encoder: Encoder, text: str) -> None:
    """None of them crashes the batch it is in."""
    assert encoder.encode([*encoder.split_query(text), *encoder.split_query("plain")]).shape == (2, 384)


def test_the_prefix_is_part_of_what_is_encoded(encoder: Encoder) -> None:
    """A query and a passage of the same words differ."""
    query, passage = encoder.encode([*encoder.split_query("a trip"), *encoder.split_passage("a trip")])
    assert float(query @ passage) < 0.999


def test_a_prefix_without_room_for_text_is_refused(model_directory: Path) -> None:
    """Before anything is embedded."""
    with pytest.raises(EmbeddingError, match="beside the prefix"):
        load_encoder(model_directory, query_prefix="word " * 240)


def test_a_vector_without_direction_is_refused() -> None:
    """It could not be compared with anything."""
    for bad in (0.0, np.nan, np.inf):
        with pytest.raises(EmbeddingError, match="direction"):
            unit_rows(np.array([[1.0, 2.0], [bad, 0.0]], dtype=np.float32))


def test_a_directory_that_holds_no_model_is_an_error(tmp_path: Path) -> None:
    """With the library's own error."""
    with pytest.raises(EmbeddingError, match="cannot be loaded"):
        load_encoder(tmp_path)


def test_encoding_does_not_depend_on_the_batch(encoder: Encoder) -> None:
    """Padding beside a long text changes nothing that matters."""
    short = encoder.split_query("hello")
    alone = encoder.encode(short)[0]
    beside = encoder.encode([*short, Part(LONG[:600], 256)])[0]
    assert float(alone @ beside) == pytest.approx(1.0, abs=1e-5)


def _python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TOKENIZERS_"))}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=environment
    )


def test_importing_the_room_loads_no_model_library() -> None:
    """The event loop imports it; torch comes later, on the worker's thread."""
    code = "import sys, router_memory.backends.bert as _; print({'torch', 'sentence_transformers'} & set(sys.modules))"
    assert _python(code).stdout.strip() == "set()"


@pytest.fixture(scope="module")
def after_load(model_directory: Path) -> tuple[dict[str, object], str]:
    """What a process looks like that loaded the model with one thread: its state, and what was printed on stderr."""
    done = _python(f"""
import json, os, pathlib
before = dict(os.environ)
from router_memory.backends.bert.loading import load_encoder
load_encoder(pathlib.Path({str(model_directory)!r}), threads=1)
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
