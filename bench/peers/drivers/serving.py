"""What every driver does: one JSON object a line in, one out, and the clock around the product's own call.

Standard output belongs to the answers alone; what a product prints goes to standard error.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

__all__ = ["Memory", "Named", "Options", "Peer", "serve"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a product is opened.

    Attributes:
        folder: Of its own, empty.
        model: Directory of all-MiniLM-L6-v2.
        server: Host and port of its Valkey server; ``None`` where it has none.
        extra: What the row says besides.
    """

    folder: Path
    model: str
    server: tuple[str, int] | None
    extra: Mapping[str, str]

    @property
    def our_embedder(self) -> bool:
        """Whether it is to embed with router-memory's embedder and not with its own."""
        return self.extra.get("embedder") == "ours"


@dataclass(frozen=True, slots=True)
class Memory:
    """One message.

    Attributes:
        id: Of its own among all.
        user: Letters and digits.
        session: The conversation it stands in.
        position: Within the session, from 0 on.
        role, speaker, created_at: Of the message; the time in ISO 8601.
        text: What it says.
    """

    id: str
    user: str
    session: str
    position: int
    role: str
    speaker: str
    created_at: str
    text: str


class Named:
    """Texts behind their speakers' names, for products that have no field for those, and without them again."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def told(self, memory: Memory) -> Memory:
        """With the name in the text."""
        text = f"{memory.speaker}: {memory.text}"
        self._said[_plain(text)] = memory.text
        return replace(memory, text=text)

    def said(self, texts: Sequence[str]) -> list[str]:
        """What was said, of texts that were found."""
        return [self._said.get(_plain(text), text) for text in texts]


def _plain(text: str) -> str:
    """Without what a store may change about its blanks."""
    return " ".join(text.split())


class Peer(Protocol):
    """A product that is open. Its methods may be coroutines."""

    def add(self, memories: Sequence[Memory], until: float) -> Any:
        """Stores many the best way it has, and gives how many; one that stores one by one stops at `until`."""

    def add_one(self, memory: Memory) -> Any:
        """Stores one."""

    def search(self, user: str, question: str, limit: int) -> Any:
        """The texts of the user's memories, best first."""

    def filled(self) -> Any:
        """Does what it wants done once when everything is stored; gives how many that is, where it may be fewer."""

    def close(self) -> Any:
        """Ends."""


def serve(make: Callable[[Options], Any], packages: Sequence[str]) -> None:
    """Answers until standard input ends.

    Args:
        make: Opens the product; may be a coroutine function.
        packages: Whose versions are told.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(_answer(make, packages, answers))


async def _answer(make: Callable[[Options], Any], packages: Sequence[str], answers: Any) -> None:
    loop = asyncio.get_running_loop()
    peer: Peer | None = None
    named: Named | None = None
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked: dict[str, Any] = json.loads(line)
        try:
            if asked["op"] == "open":
                named = Named() if asked["extra"].get("speaker") == "in the text" else None
                peer, seconds = await _timed(make, _options(asked))
                found = {"seconds": seconds, "versions": {name: version(name) for name in packages}}
            else:
                assert peer is not None, "open comes first"
                found = await _done(peer, asked, named)
        except Exception as error:  # noqa: BLE001 - whatever a product raises becomes the reason in its row
            found = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


async def _done(peer: Peer, asked: dict[str, Any], named: Named | None) -> dict[str, Any]:
    op = asked["op"]
    if op == "add":
        memories = [_memory(one, named) for one in asked["memories"]]
        added, seconds = await _timed(peer.add, memories, perf_counter() + asked["within_seconds"])
        return {"added": added, "seconds": seconds}
    if op == "add_one":
        memory = _memory(asked["memory"], named)
        return {"seconds": (await _timed(peer.add_one, memory))[1]}
    if op == "search":
        texts, seconds = await _timed(peer.search, asked["user"], asked["question"], asked["limit"])
        return {"texts": named.said(texts) if named else texts, "seconds": seconds}
    stored, seconds = await _timed({"filled": peer.filled, "close": peer.close}[op])
    return {"stored": stored, "seconds": seconds}


def _memory(one: dict[str, Any], named: Named | None) -> Memory:
    memory = Memory(**one)
    return named.told(memory) if named else memory


async def _timed(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = perf_counter()
    found = call(*arguments)
    if inspect.isawaitable(found):
        found = await found
    return found, perf_counter() - began


def _options(asked: dict[str, Any]) -> Options:
    server = asked["server"]
    return Options(Path(asked["folder"]), asked["model"], (server[0], server[1]) if server else None, asked["extra"])
