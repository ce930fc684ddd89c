"""What an export says of itself: `manifest.json` in its folder, written last."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router_memory.backends.bert.encoder import Reading
from router_memory.backends.bert.onnx.expressible import listed_modules
from router_memory.backends.bert.onnx.trust import Unusable, check_rights

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.backends.bert.source import Source

__all__ = [
    "FILES",
    "FORMAT",
    "GRAPH",
    "REFERENCE",
    "TOKENIZER",
    "WEIGHTS",
    "Facts",
    "Manifest",
    "checksum",
    "source_digest",
]

FORMAT = 2
"""Of an export. Raise it with the graph, the texts it is verified on, or what a manifest holds."""
GRAPH, WEIGHTS, TOKENIZER, REFERENCE = "model.onnx", "weights.bin", "tokenizer.json", "reference.npy"
FILES = (GRAPH, WEIGHTS, TOKENIZER, REFERENCE)
"""Of an export, beside its manifest."""
_MANIFEST = "manifest.json"
_BLOCK_BYTES = 1024 * 1024
_MODE = 0o644
_TEXT_FILES = (".json", ".txt", ".model")  # what tokenizers are made from, beside settings


@dataclass(frozen=True, slots=True)
class Facts:
    """What an encoder has to know of a graph.

    Attributes:
        inputs: Names of the graph's inputs, each int64 of shape (sequences, tokens).
        reading: How the model reads texts.
        pad_id: Token that fills up shorter sequences.
        pad_type_id: Its token type.
        pad_left: Whether it goes in front.
    """

    inputs: tuple[str, ...]
    reading: Reading
    pad_id: int
    pad_type_id: int
    pad_left: bool

    @classmethod
    def of(cls, content: dict[str, Any]) -> Facts:
        """From JSON; raises KeyError, TypeError or ValueError where it does not fit."""
        reading = content["reading"]
        return cls(
            inputs=tuple(str(name) for name in content["inputs"]),
            reading=Reading(int(reading["max_tokens"]), int(reading["special_tokens"]), bool(reading["lowercase"])),
            pad_id=int(content["pad_id"]),
            pad_type_id=int(content["pad_type_id"]),
            pad_left=bool(content["pad_left"]),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """An export.

    Attributes:
        fingerprint: Of the model.
        runtime: ``onnx`` or ``onnx-int8``.
        source: Digest of the model's settings and tokenizer, see `source_digest`.
        facts: What an encoder has to know.
        files: Length and CRC-32 of each of `FILES`, by name: against damage, which is all that somebody who can write
            here could be kept from. It takes a fifth of SHA-256's time.
        tokens: How many tokens each text of the verification has.
        verified_on: Machines with their onnxruntime on which it was verified.
        made_with: Versions of the libraries that made it.
    """

    fingerprint: str
    runtime: str
    source: str
    facts: Facts
    files: dict[str, str]
    tokens: tuple[int, ...]
    verified_on: tuple[str, ...] = ()
    made_with: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes it into a folder in one step."""
        handle, name = tempfile.mkstemp(prefix=f".{_MANIFEST}.", dir=folder)
        temporary = Path(name)
        try:
            self._put(handle, temporary)
            temporary.replace(folder / _MANIFEST)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _put(self, handle: int, file: Path) -> None:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"format": FORMAT, **asdict(self)}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        file.chmod(_MODE)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Reads it, without looking at the other files.

        Raises:
            Unusable: There is none, or it is damaged or of another format.
        """
        try:
            content = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Unusable("there is no export") from None
        except (OSError, ValueError) as error:
            raise Unusable(f"its manifest cannot be read: {error}") from None
        try:
            if content["format"] != FORMAT:
                raise Unusable(f"it has format {content['format']}, this version reads {FORMAT}")
            return cls(
                fingerprint=str(content["fingerprint"]),
                runtime=str(content["runtime"]),
                source=str(content["source"]),
                facts=Facts.of(content["facts"]),
                files={str(name): str(digest) for name, digest in content["files"].items()},
                tokens=tuple(int(count) for count in content["tokens"]),
                verified_on=tuple(str(machine) for machine in content["verified_on"]),
                made_with={str(name): str(version) for name, version in content["made_with"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unusable(f"its manifest is damaged: {type(error).__name__}: {error}") from None

    def check(self, folder: Path, source: Source, *, digest: Callable[[Path], str] | None = None) -> None:
        """Compares it with the model, every file with its checksum, and rights with what they may be.

        Args:
            folder: Where it lies.
            source: The model.
            digest: What gives `checksum` of a file, remembered perhaps; ``None`` reads it.

        Raises:
            Unusable: Something differs.
        """
        if (self.fingerprint, self.source) != (source.fingerprint, source_digest(source.directory)):
            raise Unusable("it was made from other files of the model")
        check_rights(folder, (_MANIFEST, *FILES))
        for name in FILES:
            try:
                same = (digest or checksum)(folder / name) == self.files.get(name)
            except OSError as error:
                raise Unusable(f"{name} cannot be read: {error.strerror}") from None
            if not same:
                raise Unusable(f"{name} is damaged")


def checksum(file: Path) -> str:
    """Length and CRC-32 of a file."""
    length = crc = 0
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
            length += len(block)
    return f"{length}-{crc:08x}"


def source_digest(directory: Path) -> str:
    """SHA-256 over a model's settings and tokenizer: the fingerprint, which is in stored data, covers them in part.

    Older models have the tokenizer in the folder of their first module, as a rule ``0_Transformer``.

    Raises:
        OSError, ValueError: A file cannot be read.
    """
    digest = hashlib.sha256()
    first = next((path for _, path in listed_modules(directory)), "")
    for folder in dict.fromkeys((directory, directory / first)):
        for file in sorted(folder.iterdir()):
            if file.suffix in _TEXT_FILES and file.is_file():
                name = file.relative_to(directory).as_posix()
                digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()
