"""The embedding model of a configuration, for operators: exported, verified, timed and looked at."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert import AUTO, RUNTIMES, TORCH, check_runtime, find_source, resolve
from router_memory.backends.bert.cpus import model_threads, threads_of_each, wide_threads
from router_memory.backends.bert.measuring import Measured, measure
from router_memory.backends.bert.onnx import Export, Verification, compare, export, fixed_parts, flaw, folder_of
from router_memory.backends.bert.onnx.exports import open_unverified
from router_memory.backends.bert.runtimes import REMEDY, onnx_installed, why_not_onnx
from router_memory.errors import EmbeddingError, InvalidRequest, MissingExtra
from router_memory.types import CheckStatus, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from router_memory.backends.bert import Source
    from router_memory.config import Config
    from router_memory.protocols import Embedder

__all__ = ["Export", "Measured", "Model", "Verification", "runtime_finding"]

_EXPORTED = tuple(runtime for runtime in RUNTIMES if runtime != TORCH)
_COMMAND = "router-memory model export"


class Model:
    """The model of a configuration. Every call blocks.

    Args:
        config: The configuration.

    Raises:
        MissingExtra: The bundled model is asked for and not installed.
        EmbeddingError: There is no such model on this machine.
    """

    def __init__(self, config: Config) -> None:
        self._configured = config.memory.embedding.runtime
        self._batch_size = config.memory.embedding.batch_size
        self._source = _source_of(config)

    @property
    def fingerprint(self) -> str:
        """As `Embedder.fingerprint`."""
        return self._source.fingerprint

    def export(self, runtime: str | None = None, *, anew: bool = False) -> tuple[str, Export]:
        """Exports it where that was not done.

        Args:
            runtime: ``onnx`` or ``onnx-int8``; ``None`` for the one that is configured.
            anew: Whether an export that is there is replaced.

        Returns:
            The runtime and its export.

        Raises:
            InvalidRequest: The runtime needs no export, or there is none of that name.
            MissingExtra: It is not installed.
            EmbeddingError: It cannot be exported or written, or its vectors are too far from the true ones.
        """
        wanted = self._configured if runtime is None else runtime
        check_runtime(wanted)
        resolved = resolve(_EXPORTED[0] if wanted == AUTO else wanted)
        if resolved == TORCH:
            raise InvalidRequest("the runtime torch needs no export", field="runtime", hint="pass --runtime onnx")
        return resolved, export(self._source, resolved, anew=anew)

    def verify(self, runtime: str | None = None) -> tuple[list[str], list[Verification]]:
        """Compares exports with what sentence-transformers computes now, those too that may not be used.

        Args:
            runtime: ``onnx`` or ``onnx-int8``; ``None`` for those that are exported.

        Returns:
            The texts, and how near each export comes.

        Raises:
            EmbeddingError: There is no export that can be loaded, or the model cannot be.
            MissingExtra: The runtime is not installed.
        """
        from router_memory.backends.bert.torch_encoder import load_torch

        if runtime is not None and runtime not in _EXPORTED:
            raise InvalidRequest(
                f"{runtime!r} has no export to verify", field="runtime", hint=f"known are {', '.join(_EXPORTED)}"
            )
        flaws = {resolve(name): flaw(self._source, name) for name in _EXPORTED if runtime in (None, name)}
        whole = [name for name, why in flaws.items() if not why]
        if not whole:
            why = "; ".join(dict.fromkeys(flaws.values()))
            raise EmbeddingError(f"there is no exported model to verify: {why}", hint=f"run `{_COMMAND}`")
        source = self._source
        true = load_torch(
            source.directory,
            query_prefix=source.query_prefix,
            passage_prefix=source.passage_prefix,
            threads=source.threads,
        )
        parts = fixed_parts(true)
        truth = np.concatenate([true.encode([part]) for part in parts])
        found = [compare(open_unverified(source, name), parts, truth) for name in whole]
        return [part.text for part in parts], found

    def bench(self, runtime: str | None = None) -> Iterator[Measured]:
        """Measures each runtime that is installed, or one, in a process of its own, exported before where it is not.

        Raises:
            MissingExtra: The one is not installed.
            EmbeddingError: A runtime does not work.
        """
        for name in RUNTIMES if runtime is None else (runtime,):
            check_runtime(name)
            try:
                resolved = resolve(_EXPORTED[0] if name == AUTO else name)
                if resolved != TORCH:
                    export(self._source, resolved)
            except MissingExtra:
                if runtime is not None:
                    raise
                continue
            yield measure(self._source, resolved, batch_size=self._batch_size)


def runtime_finding(config: Config, embedder: Embedder) -> Finding:
    """What an operator should know of the runtime of an identified embedder and of its export. Loads nothing."""
    configured = config.memory.embedding.runtime
    data: dict[str, object] = {"runtime": embedder.runtime, "configured": configured}
    if embedder.runtime == TORCH:
        return _torch_finding(configured, data)
    try:
        source = _source_of(config)
        folder = folder_of(source, embedder.runtime)
        why = flaw(source, embedder.runtime)
    except EmbeddingError as error:
        return _unusable(configured, error.message, error.hint, data)
    except OSError as error:
        said = f"the export of the embedding model cannot be looked at: {error}"
        return _unusable(configured, said, "set embedding.cache_dir, or embedding.runtime: torch", data)
    data |= {"folder": str(folder), "exported": not why}
    data |= {"threads": model_threads(source.threads), "wide_threads": wide_threads(source.threads)}
    if not why:
        return Finding("runtime", CheckStatus.OK, f"{embedder.runtime}, exported to {folder}", data=data)
    if not _may_write(folder):
        advice = f"set embedding.cache_dir, or run `{_COMMAND}` as a user who may write there"
        return _unusable(configured, f"{why}, and {folder} may not be written", advice, data)
    if importlib.util.find_spec("onnx") is None:
        found = f"{why}, and the package onnx, which makes one, is not installed"
        return _unusable(configured, found, REMEDY, data)
    if folder.exists():
        return Finding("runtime", CheckStatus.WARN, f"{embedder.runtime}: {why} in {folder}", f"run `{_COMMAND}`", data)
    found = f"{embedder.runtime}, not exported yet; the first text to embed does that, in about 15 s"
    return Finding("runtime", CheckStatus.OK, found, data=data)


def _torch_finding(configured: str, data: dict[str, object]) -> Finding:
    found = "torch; loading takes seconds at each start"
    why = why_not_onnx() if configured == AUTO else ""
    if not why:
        return Finding("runtime", CheckStatus.OK, found, data=data)
    if not onnx_installed():
        return Finding("runtime", CheckStatus.OK, found, f"{REMEDY} makes it faster", data)
    advice = f"{REMEDY}, or set embedding.runtime: torch"
    return Finding("runtime", CheckStatus.WARN, f"auto embeds with torch: {why}", advice, data)


def _unusable(configured: str, why: str, advice: str, data: dict[str, object]) -> Finding:
    """What comes of a runtime that cannot be used: `AUTO` falls back, any other is an error."""
    if configured == AUTO:
        return Finding("runtime", CheckStatus.WARN, f"auto embeds with torch: {why}", advice, data | {"runtime": TORCH})
    return Finding("runtime", CheckStatus.FAIL, f"{configured} cannot be used: {why}", advice, data)


def _may_write(folder: Path) -> bool:
    """Whether the folder can be made, or be replaced."""
    for parent in folder.absolute().parents:
        try:
            parent.stat()
        except FileNotFoundError:
            continue
        except OSError:  # somebody else's, or below a file
            return False
        return os.access(parent, os.W_OK | os.X_OK)
    return False


def _source_of(config: Config) -> Source:
    embedding = config.memory.embedding
    return find_source(
        config.memory.embedding_model,
        query_prefix=embedding.query_prefix,
        passage_prefix=embedding.passage_prefix,
        threads=threads_of_each(embedding.threads, config.service.workers),
        cache=config.model_cache,
    )
