"""Exports on disk: found, made once however many processes want one, and verified before use."""

from __future__ import annotations

import importlib.util
import logging
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from router_memory.backends.bert.onnx.encoder import OnnxEncoder, open_encoder
from router_memory.backends.bert.onnx.expressible import check_listing
from router_memory.backends.bert.onnx.folders import digests_of, folder_of
from router_memory.backends.bert.onnx.locking import one_at_a_time
from router_memory.backends.bert.onnx.manifest import (
    FILES,
    REFERENCE,
    Facts,
    Manifest,
    checksum,
    source_digest,
)
from router_memory.backends.bert.onnx.placing import folder_to_fill, install, size, sweep
from router_memory.backends.bert.onnx.trust import Unusable
from router_memory.backends.bert.onnx.verification import FIXED_TEXTS, Verification, compare, fixed_parts, machine
from router_memory.errors import EmbeddingError, MissingExtra, RouterMemoryError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from router_memory.backends.bert.source import Source

__all__ = ["Export", "export", "exported", "find", "flaw", "load_onnx", "open_unverified"]

_log = logging.getLogger("router_memory.bert")

_LOCK = ".lock"
_EXPORT_SECONDS = 1_800.0
"""When the process that exports is ended."""
_PATIENCE_SECONDS = 2_400.0
"""How long others wait for it: until it has ended and its export is verified."""
_TORCH_INSTEAD = "set embedding.runtime: torch"
_ANOTHER_FOLDER = "set embedding.cache_dir to a folder that may be written, or embedding.runtime: torch"


@dataclass(frozen=True, slots=True)
class Export:
    """A finished export.

    Attributes:
        folder: Where it lies.
        bytes: What its files take.
        verification: How near its vectors are to the true ones; ``None`` when it was there already.
        seconds: What making it took; 0.0 when it was there.
        encoder: It, loaded.
    """

    folder: Path
    bytes: int
    verification: Verification | None
    seconds: float
    encoder: OnnxEncoder


def exported(source: Source, runtime: str) -> bool:
    """Whether there is an export that looks usable; its files are not read."""
    try:
        manifest = Manifest.read(folder_of(source, runtime))
    except (Unusable, EmbeddingError):
        return False
    return manifest.fingerprint == source.fingerprint


def flaw(source: Source, runtime: str) -> str:
    """Why the export of a model cannot be used as it lies there, ``""`` when it can. Every file is read, none loaded.

    Raises:
        EmbeddingError: There is no place for exports, or a file cannot be read.
    """
    folder = folder_of(source, runtime)
    with _as_embedding_error(f"the exported model in {folder} cannot be read"):
        try:
            Manifest.read(folder).check(folder, source)
        except Unusable as reason:
            return str(reason)
        return ""


def load_onnx(source: Source, runtime: str, *, stop: threading.Event | None = None) -> OnnxEncoder:
    """Loads an export, made first where there is none or a damaged one, and encodes a text. See `export`."""
    with _as_embedding_error(f"the embedding model cannot be loaded for {runtime}"):
        found = export(source, runtime, stop=stop)
        encoder = found.encoder
        encoder.encode(encoder.split_query(FIXED_TEXTS[0]))
        encoder.widen(found.folder)
        return encoder


def export(source: Source, runtime: str, *, anew: bool = False, stop: threading.Event | None = None) -> Export:
    """The export of a model, made where there is none. One process makes it, others wait for it.

    Args:
        source: The model.
        runtime: ``onnx`` or ``onnx-int8``.
        anew: Whether it is made in any case.
        stop: Ends the wait and the process that exports when set.

    Raises:
        EmbeddingError: The model cannot be exported, its vectors are too far from the true ones, the folder may
            not be written, another process takes too long, or it was stopped.
        MissingExtra: The package ``onnx`` is needed and not installed.
    """
    folder = folder_of(source, runtime)
    if not anew and (found := find(source, runtime)) is not None:
        return found
    if importlib.util.find_spec("onnx") is None:
        raise MissingExtra("exporting the embedding model", extra="onnx")
    with _as_embedding_error(f"the embedding model in {source.directory} cannot be exported"):
        check_listing(source.directory)
    with _as_embedding_error(f"the exported model cannot be kept in {folder}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(folder.parent / _LOCK, patience=_PATIENCE_SECONDS, stop=stop):
            if not anew and (found := find(source, runtime)) is not None:
                return found
            sweep(folder.parent, seconds=_PATIENCE_SECONDS)
            return _made(folder, source, runtime, stop)


@contextmanager
def _as_embedding_error(what: str) -> Iterator[None]:
    """Turns whatever happens with files, and errors of the libraries, some of no public class, into our own.

    Args:
        what: Is said before the error's own text.

    Raises:
        EmbeddingError: In place of every error that is none of ours.
    """
    try:
        yield
    except RouterMemoryError:
        raise
    except OSError as error:
        raise EmbeddingError(f"{what}: {error.strerror or error}", hint=_ANOTHER_FOLDER) from error
    except Exception as error:
        raise EmbeddingError(f"{what}: {type(error).__name__}: {error}", hint=_TORCH_INSTEAD) from error


def find(source: Source, runtime: str) -> Export | None:
    """The export that is there and whole, loaded; ``None`` where one is to be made.

    On a machine or with an onnxruntime on which it was not verified yet that is done first.

    Raises:
        EmbeddingError: Its vectors are too far from the true ones here, or a file cannot be read.
    """
    folder = folder_of(source, runtime)
    with _as_embedding_error(f"the exported model in {folder} cannot be used"):
        try:
            manifest = Manifest.read(folder)
            manifest.check(folder, source, digest=_remembered(source))
            encoder = _opened(folder, manifest.facts, source, runtime)
        except Unusable as reason:
            if os.path.lexists(folder):
                _log.warning("the exported model in %s cannot be used: %s", folder, reason)
            return None
        here = machine()
        if here not in manifest.verified_on:
            _verified(encoder, folder, manifest.tokens)
            with suppress(OSError):  # a folder that is only read is verified at each start
                replace(manifest, verified_on=(*manifest.verified_on, here)).write(folder)
        return Export(folder, size(folder), None, 0.0, encoder)


def _remembered(source: Source) -> Callable[[Path], str]:
    """`checksum`, which a file that stayed as it was is not read for again."""
    digests = digests_of(source.cache)
    return lambda file: digests.of(file, "crc32", checksum)


def open_unverified(source: Source, runtime: str) -> OnnxEncoder:
    """Loads an export that is whole, whatever its vectors are: for who compares them himself.

    Raises:
        EmbeddingError: There is none, or it cannot be loaded.
    """
    folder = folder_of(source, runtime)
    what = f"the exported model in {folder} cannot be used"
    with _as_embedding_error(what):
        try:
            manifest = Manifest.read(folder)
            manifest.check(folder, source)
            return _opened(folder, manifest.facts, source, runtime)
        except Unusable as reason:
            raise EmbeddingError(f"{what}: {reason}") from reason


def _made(folder: Path, source: Source, runtime: str, stop: threading.Event | None, *, fuse: bool = True) -> Export:
    """A new export. One that is wrong with attention gathered is made once more without."""
    from router_memory.backends.bert.onnx.making import make  # which most processes never need

    began = perf_counter()
    # A warning, which is shown where no logging is set up: nothing is embedded meanwhile.
    _log.warning("exporting the embedding model for %s, once, about 15 s, to %s", runtime, folder)
    with folder_to_fill(folder) as target:
        made = make(source, runtime, target, seconds=_EXPORT_SECONDS, stop=stop, fuse=fuse)
        try:
            encoder = _fresh(target, made.facts, source, runtime)
            verification = _verified(encoder, target, made.tokens)
        except Exception as error:
            if not made.fused:
                raise
            _log.warning("exporting the embedding model again, in a form that is slower to run: %s", error)
        else:
            Manifest(
                fingerprint=source.fingerprint,
                runtime=runtime,
                source=source_digest(source.directory),
                facts=made.facts,
                files={name: checksum(target / name) for name in FILES},
                tokens=made.tokens,
                verified_on=(machine(),),
                made_with=made.made_with,
            ).write(target)
            install(target, folder)
            return Export(folder, size(folder), verification, perf_counter() - began, encoder)
    return _made(folder, source, runtime, stop, fuse=False)


def _fresh(target: Path, facts: Facts, source: Source, runtime: str) -> OnnxEncoder:
    """Loads what was just made.

    Raises:
        EmbeddingError: It cannot be loaded.
    """
    try:
        return _opened(target, facts, source, runtime)
    except Unusable as reason:
        raise EmbeddingError(
            f"the model exported for {runtime} cannot be loaded: {reason}", hint=_TORCH_INSTEAD
        ) from reason


def _opened(folder: Path, facts: Facts, source: Source, runtime: str) -> OnnxEncoder:
    try:
        return open_encoder(folder, facts, source, runtime)
    except EmbeddingError:
        raise
    except Exception as error:  # onnxruntime and tokenizers have errors of many kinds, some of no public class
        raise Unusable(f"{type(error).__name__}: {error}") from error


def _verified(encoder: OnnxEncoder, folder: Path, tokens: Sequence[int]) -> Verification:
    """Holds an export against the true vectors beside it.

    Raises:
        EmbeddingError: It is too far off.
    """
    parts = fixed_parts(encoder)
    if tuple(part.tokens for part in parts) != tuple(tokens):
        raise EmbeddingError(
            f"the model exported for {encoder.runtime} reads texts as other tokens", hint=_TORCH_INSTEAD
        )
    verification = compare(encoder, parts, np.load(folder / REFERENCE, allow_pickle=False))
    if not verification.passed:
        raise EmbeddingError(
            f"the model exported for {encoder.runtime} computes other vectors: of the cosines to the true ones "
            f"the mean is {verification.mean:.6f} and the least {verification.least:.6f}, "
            f"wanted is {verification.demand}",
            hint=_TORCH_INSTEAD,
        )
    return verification
