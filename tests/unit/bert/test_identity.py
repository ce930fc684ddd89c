"""Fingerprints, from the files of models made up for the purpose and of the bundled one."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.bert.identity import identify
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = b"the weights"
LEGACY_POOLING = {"word_embedding_dimension": 8, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def _module(kind: str, path: str) -> dict[str, str]:
    return {"type": f"sentence_transformers.models.{kind}", "path": path}


def _write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of eight dimensions, pooled by the mean."""
    directory = tmp_path / "model"
    _write(
        directory / "modules.json",
        [_module("Transformer", ""), _module("Pooling", "1_Pooling"), _module("Normalize", "2_Normalize")],
    )
    _write(directory / "config.json", {"model_type": "bert", "_name_or_path": "someone/tiny-bert", "hidden_size": 8})
    _write(directory / "sentence_bert_config.json", {"max_seq_length": 128})
    _write(directory / "1_Pooling" / "config.json", LEGACY_POOLING)
    (directory / "model.safetensors").write_bytes(WEIGHTS)
    return directory


def test_it_names_model_dimension_and_weights(model: Path) -> None:
    """People can read it, and compare the weights with a published SHA-256."""
    identity = identify(model)
    assert identity.dimension == 8
    assert identity.fingerprint.startswith(f"tiny-bert/8/{hashlib.sha256(WEIGHTS).hexdigest()[:32]}-")


def test_a_copy_elsewhere_is_the_same_model(model: Path, tmp_path: Path) -> None:
    """Paths play no part."""
    copy = shutil.copytree(model, tmp_path / "elsewhere" / "other name")
    assert identify(copy) == identify(model)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("1_Pooling/config.json", {"word_embedding_dimension": 8, "pooling_mode_cls_token": True}),
        ("1_Pooling/config.json", {"word_embedding_dimension": 9, "pooling_mode_mean_tokens": True}),
        ("sentence_bert_config.json", {"max_seq_length": 256}),
        ("config_sentence_transformers.json", {"truncate_dim": 4}),
    ],
)
def test_what_changes_the_vectors_changes_it(model: Path, file: str, content: dict[str, Any]) -> None:
    """Pooling, dimension, truncation and the longest sequence."""
    before = identify(model).fingerprint
    _write(model / file, content)
    assert identify(model).fingerprint != before


def test_other_weights_change_it(model: Path) -> None:
    """Even where everything around them is the same."""
    before = identify(model).fingerprint
    (model / "model.safetensors").write_bytes(b"other weights")
    assert identify(model).fingerprint != before


def test_prefixes_change_it(model: Path) -> None:
    """And it matters which is which."""
    prints = {
        identify(model).fingerprint,
        identify(model, query_prefix="query: ").fingerprint,
        identify(model, passage_prefix="query: ").fingerprint,
    }
    assert len(prints) == 3


def test_the_format_of_the_pooling_file_does_not_change_it(model: Path) -> None:
    """A model saved again by a newer sentence-transformers pools as before."""
    before = identify(model)
    _write(model / "1_Pooling" / "config.json", {"embedding_dimension": 8, "pooling_mode": "mean"})
    assert identify(model) == before


def test_normalization_in_the_model_does_not_change_it(model: Path) -> None:
    """Vectors are normalized anyway."""
    before = identify(model)
    _write(model / "modules.json", [_module("Transformer", ""), _module("Pooling", "1_Pooling")])
    assert identify(model) == before


def test_joined_poolings_add_up(model: Path) -> None:
    """Two modes side by side make vectors twice as wide."""
    _write(model / "1_Pooling" / "config.json", {"embedding_dimension": 8, "pooling_mode": ["cls", "mean"]})
    assert identify(model).dimension == 16


def test_a_dense_module_sets_the_dimension_and_its_weights_count(model: Path) -> None:
    """Whatever stands last decides how wide a vector is."""
    modules = [_module("Transformer", ""), _module("Pooling", "1_Pooling"), _module("Dense", "2_Dense")]
    _write(model / "modules.json", modules)
    _write(model / "2_Dense" / "config.json", {"in_features": 8, "out_features": 3})
    (model / "2_Dense" / "model.safetensors").write_bytes(b"dense")
    before = identify(model)
    (model / "2_Dense" / "model.safetensors").write_bytes(b"denser")
    assert before.dimension == 3
    assert identify(model).fingerprint != before.fingerprint


def test_a_bare_transformers_model_is_pooled_by_the_mean(model: Path) -> None:
    """sentence-transformers does so where there is no modules.json; other formats' folders are not looked at."""
    (model / "modules.json").unlink()
    (model / "onnx").mkdir()
    (model / "onnx" / "model.safetensors").write_bytes(b"not loaded")
    assert identify(model).dimension == 8
    assert hashlib.sha256(WEIGHTS).hexdigest()[:32] in identify(model).fingerprint


def test_of_two_formats_only_the_loaded_one_counts(model: Path) -> None:
    """Hub snapshots often hold the weights twice."""
    before = identify(model)
    (model / "pytorch_model.bin").write_bytes(b"the same, pickled")
    assert identify(model) == before


@pytest.mark.parametrize("lacking", ["model.safetensors", "1_Pooling/config.json"])
def test_a_model_without_weights_or_dimension_is_refused(model: Path, lacking: str) -> None:
    """An interrupted download must not get a fingerprint."""
    (model / lacking).unlink()
    _write(model / "config.json", {"model_type": "bert"})
    with pytest.raises(EmbeddingError, match=r"no weights|dimension"):
        identify(model)


def test_a_broken_configuration_is_refused(model: Path) -> None:
    """With the library's error, not json's."""
    (model / "modules.json").write_text("{")
    with pytest.raises(EmbeddingError, match="cannot be read"):
        identify(model)


@pytest.mark.model
def test_the_bundled_weights_are_the_published_ones(model_directory: Path) -> None:
    """SHA-256 of model.safetensors of sentence-transformers/all-MiniLM-L6-v2, and a fingerprint that stays."""
    digest = hashlib.sha256((model_directory / "model.safetensors").read_bytes()).hexdigest()
    assert digest == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    identity = identify(model_directory)
    assert identity.dimension == 384
    assert identity.fingerprint == "all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2"
