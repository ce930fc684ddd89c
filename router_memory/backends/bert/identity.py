"""What makes two embedders' vectors comparable, as a short string.

Read from the model's files, without loading it: an upgrade of a library does not change the fingerprint. No
name or path goes into it, so a copy elsewhere has the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router_memory.backends.bert.digests import Digests
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Identity", "identify"]

# Weights whose files do not hold the name people know them by.
_KNOWN_WEIGHTS = {"53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db": "all-MiniLM-L6-v2"}
_WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin")  # the first pattern that matches is what gets loaded
_LENGTH_FILES = ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlm-roberta_config.json")
_POOLING_PREFIX = "pooling_mode"
# Where a module's config.json says how wide its output is. A pooling's modes are joined side by side.
_WIDTH_KEYS = ("out_features", "embedding_dimension", "word_embedding_dimension", "dimension", "hidden_size")


@dataclass(frozen=True, slots=True)
class Identity:
    """What the files of a model say.

    Attributes:
        fingerprint: ``name/dimension/weights-settings``, e.g. ``all-MiniLM-L6-v2/384/53aa5117…-0f3c…``. `weights`
            is the beginning of the SHA-256 of the weights' file (of the files' digests if there are several),
            `settings` that of pooling, the modules behind it, longest sequence, prefixes, dimension and
            normalization.
        dimension: Number of components of a vector.
    """

    fingerprint: str
    dimension: int


def identify(
    directory: Path, *, query_prefix: str = "", passage_prefix: str = "", digests: Digests | None = None
) -> Identity:
    """Reads a model's files; a gigabyte of weights takes a second or two.

    Args:
        directory: A model as sentence-transformers stores it.
        query_prefix: Put in front of queries.
        passage_prefix: Put in front of passages.
        digests: Where digests of the weights are remembered; ``None`` reads them.

    Raises:
        EmbeddingError: The directory holds no weights, or its configuration cannot be read or lacks the dimension.
    """
    try:
        modules = _modules(directory)
        weights = _weights_digest(directory, modules, digests or Digests())
        dimension = _dimension(directory, modules)
        settings = {
            "dimension": dimension,
            "max_tokens": _max_tokens(directory / modules[0].path),
            "modules": [module.settings for module in modules[1:]],
            "normalized": True,
            "passage_prefix": passage_prefix,
            "query_prefix": query_prefix,
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EmbeddingError(f"the embedding model in {directory} cannot be read: {error}") from error
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    name = _name(modules[0].config, weights)
    return Identity(f"{name}/{dimension}/{weights[:32]}-{digest[:16]}", dimension)


@dataclass(frozen=True, slots=True)
class _Module:
    """One of the modules a text goes through."""

    kind: str
    path: str
    config: dict[str, Any]

    @property
    def settings(self) -> list[Any]:
        """What of it shapes the vectors, whichever version of sentence-transformers wrote it."""
        return ["Pooling", *_pooling_modes(self.config)] if self.kind == "Pooling" else [self.kind, self.config]

    @property
    def width(self) -> int | None:
        """How many components its output has, if it says."""
        width = next((int(self.config[key]) for key in _WIDTH_KEYS if key in self.config), None)
        return width * len(_pooling_modes(self.config)) if width and self.kind == "Pooling" else width


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return content


def _modules(directory: Path) -> list[_Module]:
    """The modules in order, at least one. Normalization is left out: vectors always are normalized."""
    listing = directory / "modules.json"
    if not listing.is_file():  # a bare transformers model, which sentence-transformers pools by the mean
        return [_Module("Transformer", "", _json(directory / "config.json")), _Module("Pooling", "", {})]
    entries: list[dict[str, Any]] = json.loads(listing.read_text(encoding="utf-8"))
    modules = [
        _Module(
            str(entry["type"]).rpartition(".")[2], str(entry["path"]), _json(directory / entry["path"] / "config.json")
        )
        for entry in entries
    ]
    return [module for module in modules if module.kind != "Normalize"]


def _weights_digest(directory: Path, modules: list[_Module], remembered: Digests) -> str:
    digests: list[str] = []
    for path in dict.fromkeys(module.path for module in modules):
        found = (sorted((directory / path).glob(pattern)) for pattern in _WEIGHT_FILES)
        digests += [remembered.of(file, "sha256", _sha256) for file in next((files for files in found if files), [])]
    if not digests:
        raise EmbeddingError(
            f"the embedding model in {directory} has no weights", hint="expected model.safetensors or pytorch_model.bin"
        )
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _dimension(directory: Path, modules: list[_Module]) -> int:
    width = next((module.width for module in reversed(modules) if module.width), None)
    if width is None:
        raise EmbeddingError(f"the embedding model in {directory} does not say its dimension")
    truncated = _json(directory / "config_sentence_transformers.json").get("truncate_dim")
    return min(width, int(truncated)) if truncated else width


def _max_tokens(directory: Path) -> Any:
    """The longest sequence as the model's author set it, ``None`` where nobody did."""
    for name in _LENGTH_FILES:
        length = _json(directory / name).get("max_seq_length")
        if length is not None:
            return length
    return _json(directory / "tokenizer_config.json").get("model_max_length")


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    """The modes, in the order their vectors are joined, whichever version of the format the file has.

    Once ``"pooling_mode_mean_tokens": true``, now ``"pooling_mode": "mean"``.
    """
    modes = config.get(_POOLING_PREFIX)
    if modes is None:
        legacy = [key for key, used in config.items() if key.startswith(f"{_POOLING_PREFIX}_") and used is True]
        modes = [key.removeprefix(f"{_POOLING_PREFIX}_") for key in legacy] or ["mean"]
    listed = [modes] if isinstance(modes, str) else modes
    return [str(mode).removesuffix("_tokens") for mode in listed]


def _name(config: dict[str, Any], weights: str) -> str:
    """A name for people, out of the files alone: where they lie must not matter."""
    if weights in _KNOWN_WEIGHTS:
        return _KNOWN_WEIGHTS[weights]
    name = str(config.get("_name_or_path") or config.get("model_type") or "model").rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)[:64]
