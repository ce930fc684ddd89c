"""What every runtime of the bundled model does alike: parts and vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from router_memory.backends.bert import find_source
from router_memory.backends.bert.encoder import unit_rows
from router_memory.backends.bert.loading import load_encoder
from router_memory.backends.bert.onnx.encoder import OnnxEncoder
from router_memory.backends.bert.onnx.verification import FIXED_TEXTS
from router_memory.backends.bert.splitting import Part
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from pathlib import Path

    from router_memory.backends.bert import Source
    from router_memory.backends.bert.encoder import Encoder
    from router_memory.backends.bert.torch_encoder import TorchEncoder

pytestmark = pytest.mark.model

LONG = " ".join(f"On day {day} we walked {day * 3} miles to Llanfairpwllgwyngyll, and it rained." for day in range(90))
AWKWARD = ["x" * 5000, "日本語" * 700, "🙂" * 900, "\u0301" * 3000, "ﷺ" * 400, "a-" * 2000]
ODD = ["", "   \n\t", "\0", "\0\0a", "\ud800", "ok \udfff end", "[SEP] [PAD]", "\u200b", "ÀÉÎ UPPER İstanbul ß"]

NEAREST = {"torch": 0.99999, "onnx": 0.99999, "onnx-int8": 0.97}
"""Cosines to the true vectors, at least."""


def test_vectors_are_those_of_sentence_transformers(any_encoder: Encoder, model_directory: Path) -> None:
    """Its own encode gives the same, for a batch of mixed lengths."""
    from sentence_transformers import SentenceTransformer

    texts = ["short", "Where did Caroline go last summer, and with whom?", LONG[:700]]
    reference = SentenceTransformer(str(model_directory), device="cpu", local_files_only=True)
    expected = reference.encode([f"query: {text}" for text in texts], normalize_embeddings=True)
    ours = any_encoder.encode([part for text in texts for part in any_encoder.split_query(text)])
    assert ours.dtype == np.float32
    assert ours.shape == (3, any_encoder.dimension) == (3, 384)
    assert np.sum(ours * expected, axis=1).min() >= NEAREST[any_encoder.runtime]
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1.0, atol=1e-6)


def test_a_long_text_is_split_without_loss(any_encoder: Encoder) -> None:
    """Every part fits, at sentence ends."""
    parts = any_encoder.split_passage(LONG)
    texts = [part.text.removeprefix("passage: ") for part in parts]
    assert "".join(texts) == LONG
    assert len(parts) > 5
    assert all(part.tokens <= any_encoder.max_tokens == 256 for part in parts)
    assert all(text.rstrip().endswith("rained.") for text in texts)


@pytest.mark.parametrize("text", [*AWKWARD, *ODD, LONG])
def test_every_runtime_splits_alike(any_encoder: Encoder, encoder: TorchEncoder, text: str) -> None:
    """So that a text has the same parts whatever embeds it, and their tokens are counted alike."""
    assert any_encoder.split_passage(text) == encoder.split_passage(text)
    assert any_encoder.split_query(text) == encoder.split_query(text)


def test_onnx_gets_the_tokens_that_torch_gets(source: Source, encoder: TorchEncoder) -> None:
    """Every one of them, in parts of whatever text."""
    onnx = load_encoder(source, runtime="onnx", fall_back=False)
    assert isinstance(onnx, OnnxEncoder)
    texts = [part.text for text in [*AWKWARD, *ODD, LONG, *FIXED_TEXTS] for part in encoder.split_passage(text)]
    assert [list(one.ids) for one in onnx._tokenized(texts)] == [
        encoder.features([text])["input_ids"][0].tolist() for text in texts
    ]


@pytest.mark.parametrize("text", AWKWARD)
def test_text_without_words_or_sentences_fits_too(any_encoder: Encoder, text: str) -> None:
    """Whatever the script, the parts join up and none is too long."""
    parts = any_encoder.split_passage(text)
    assert "".join(part.text.removeprefix("passage: ") for part in parts) == text
    assert all(part.tokens <= 256 for part in parts)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_vectors(any_encoder: Encoder, text: str) -> None:
    """None of them crashes the batch it is in."""
    assert any_encoder.encode([*any_encoder.split_query(text), *any_encoder.split_query("plain")]).shape == (2, 384)


def test_what_splitting_tokenized_is_encoded_as_the_text_is(any_encoder: Encoder) -> None:
    """A part that says nothing but its text has the same vector, to the bit."""
    for text in ["hello", LONG, *ODD]:
        parts = any_encoder.split_passage(text)
        plain = [Part(part.text, part.tokens) for part in parts]
        np.testing.assert_array_equal(any_encoder.encode(parts), any_encoder.encode(plain))


def test_a_part_longer_than_the_model_reads_is_cut(any_encoder: Encoder, encoder: TorchEncoder) -> None:
    """No text leads to one, short of a single character with more tokens; then the first of them count."""
    part = Part("passage: " + "word " * 400, 403)
    cosine = float(any_encoder.encode([part])[0] @ encoder.encode([part])[0])
    assert cosine >= NEAREST[any_encoder.runtime]
    short = any_encoder.split_query("hello")
    assert float(any_encoder.encode(short)[0] @ encoder.encode(short)[0]) >= NEAREST[any_encoder.runtime]


def test_the_prefix_is_part_of_what_is_encoded(any_encoder: Encoder) -> None:
    """A query and a passage of the same words differ."""
    query, passage = any_encoder.encode([*any_encoder.split_query("a trip"), *any_encoder.split_passage("a trip")])
    assert float(query @ passage) < 0.999


def test_a_prefix_without_room_for_text_is_refused(model_directory: Path) -> None:
    """Before anything is embedded."""
    with pytest.raises(EmbeddingError, match="beside the prefix"):
        load_encoder(find_source("bert", query_prefix="word " * 240), runtime="torch", fall_back=False)


def test_encoding_does_not_depend_on_the_batch(any_encoder: Encoder) -> None:
    """Padding beside a long text changes nothing that matters."""
    short = any_encoder.split_query("hello")
    alone = any_encoder.encode(short)[0]
    beside = any_encoder.encode([*short, Part(LONG[:600], 256)])[0]
    assert float(alone @ beside) == pytest.approx(1.0, abs=1e-5)


def test_a_vector_without_direction_is_refused() -> None:
    """It could not be compared with anything."""
    for bad in (0.0, np.nan, np.inf):
        with pytest.raises(EmbeddingError, match="direction"):
            unit_rows(np.array([[1.0, 2.0], [bad, 0.0]], dtype=np.float32))
