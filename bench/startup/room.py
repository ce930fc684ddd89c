"""A store with one user's memories, and a configuration for each runtime, with the model exported for it."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.startup.processes import PROGRAM, run
from bench.startup.settings import Settings
from router_memory.storage.portable import FORMAT

__all__ = ["EXPORTED", "RUNTIMES", "USER", "Room", "configuration", "opened_room"]

USER = "priya"
EXPORTED = ("onnx", "onnx-int8")
RUNTIMES = ("torch", *EXPORTED)
_NAMES = ("Mara", "Oliver", "Jörg", "Priyanka", "Henrike", "Tom", "Aylin")
_THINGS = ("a grey cat", "the blue bicycle", "short answers", "a table by the window", "green tea", "the early train")
_PLACES = ("Lisbon", "Toronto", "Lübeck", "Nairobi", "Osaka", "Bergen")


@dataclass(frozen=True, slots=True)
class Room:
    """What a part starts programs with.

    Attributes:
        configurations: A file for each of `RUNTIMES`, over the same store.
    """

    configurations: dict[str, Path]


@contextmanager
def opened_room(settings: Settings) -> Iterator[Room]:
    """Stores the memories and exports the model where that was not done, into the user's cache folder."""
    with tempfile.TemporaryDirectory(prefix="startup-bench-") as name:
        folder = Path(name)
        files = {runtime: configuration(folder, runtime) for runtime in RUNTIMES}
        for runtime in EXPORTED:
            run([*PROGRAM, "model", "export", "--config", str(files[runtime])])
        memories = folder / "memories.ndjson"
        memories.write_text("".join(_lines(settings)), encoding="utf-8")
        run([*PROGRAM, "import", str(memories), "--config", str(files["onnx-int8"])])
        yield Room(files)


def configuration(folder: Path, runtime: str, *, cache: Path | None = None) -> Path:
    """A configuration in which one worker embeds with a runtime.

    Args:
        folder: Where it is written, and the store lies.
        runtime: One of `RUNTIMES`.
        cache: Where exports are kept; ``None`` for the user's cache folder.
    """
    embedding = {"runtime": runtime} | ({} if cache is None else {"cache_dir": str(cache)})
    memory = {
        "enabled": True,
        "embedded": {"path": str(folder / "memory.db")},
        "embedding": embedding,
        "service": {"workers": 1},
    }
    file = folder / f"{runtime}.yaml"
    file.write_text(yaml.safe_dump({"global": {"stores": {"memory": memory}}}), encoding="utf-8")
    return file


def _lines(settings: Settings) -> Iterator[str]:
    """Memories as `router-memory import` reads them."""
    chance = random.Random(settings.seed)
    for number in range(settings.memories):
        content = f"{chance.choice(_NAMES)} likes {chance.choice(_THINGS)} in {chance.choice(_PLACES)}, note {number}."
        yield (
            json.dumps(
                {
                    "format": FORMAT,
                    "id": f"{number:032x}",
                    "user_id": USER,
                    "content": content,
                    "created_at": f"2026-03-{number % 28 + 1:02d}T12:00:00Z",
                }
            )
            + "\n"
        )
