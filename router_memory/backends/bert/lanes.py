"""Who waits for the model: requests, the texts and parts they consist of, and the order they go in.

Everything here belongs to the event loop; the worker thread sees only what a `Step` hands it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router_memory.backends.bert.splitting import Part
from router_memory.errors import EmbeddingError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Job", "Lane", "Piece", "Request", "Step", "take_chunk"]

# Texts are split shortly before they are encoded, so many at a time that sorting them by length pays and so few
# that a query does not notice: 100,000 characters take 25 ms.
_ADMIT_TEXTS = 64
_ADMIT_CHARACTERS = 32_768
_CHARACTERS_PER_TOKEN = 4
_GIVES_WAY_TO = 8


class Request:
    """The texts of one call and what is known of their vectors.

    Args:
        texts: At least one.
        future: Gets the rows of each text, float32 of shape (dimension,), one for each of its parts in order.
        number: How many requests came before it.
    """

    def __init__(
        self, texts: Sequence[str], future: asyncio.Future[list[list[NDArray[np.float32]]]], number: int
    ) -> None:
        self.future = future
        self.number = number
        self.jobs = [Job(self, index, text) for index, text in enumerate(texts)]
        self._rows: list[dict[int, NDArray[np.float32]]] = [{} for _ in texts]
        self._unsplit = len(texts)
        self._missing = 0

    @property
    def alive(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.future.done()

    def expect(self, parts: int) -> None:
        """One more of its texts was split, into so many parts."""
        self._unsplit -= 1
        self._missing += parts

    def put(self, index: int, position: int, row: NDArray[np.float32]) -> None:
        """The vector of a part of one of its texts. The last one completes the request."""
        self._rows[index][position] = row
        self._missing -= 1
        if self._missing == 0 and self._unsplit == 0 and self.alive:
            self.future.set_result([[rows[position] for position in sorted(rows)] for rows in self._rows])

    def fail(self, reason: BaseException) -> None:
        """Ends the request with an `EmbeddingError`; what is left of it will not be encoded."""
        if self.alive:
            error = EmbeddingError(f"the embedding model failed: {type(reason).__name__}")
            error.__cause__ = reason
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A text that waits to be split."""

    request: Request
    index: int
    text: str

    @property
    def tokens(self) -> int:
        """About how many tokens it has."""
        return 2 + len(self.text) // _CHARACTERS_PER_TOKEN


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of a text that waits to be encoded."""

    job: Job
    position: int
    part: Part

    @property
    def turn(self) -> int:
        """Its place among all that waits. A long text's later parts give way to some who came later, not to all."""
        return self.job.request.number + _GIVES_WAY_TO * self.position


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What the worker does in one go: split these texts, then encode one chunk of what there is then."""

    lane: Lane
    jobs: list[Job]
    pieces: list[Piece]

    @property
    def tokens(self) -> int:
        """About how many tokens are in its texts and pieces."""
        return sum(job.tokens for job in self.jobs) + sum(piece.part.tokens for piece in self.pieces)

    @property
    def requests(self) -> set[Request]:
        """Everyone who waits for something in it."""
        return {job.request for job in self.jobs} | {piece.job.request for piece in self.pieces}


@dataclass(slots=True, eq=False)
class Lane:
    """Texts of one kind in order of arrival, and the parts of those that were split.

    Attributes:
        split: Turns a text into its parts; called on the worker thread.
        eager: Whether new texts join before every chunk, in order of arrival but for the later parts of a long one
            (queries); otherwise they wait until all that were admitted are encoded, short ones first (passages).
            Neither lets anybody starve.
    """

    split: Callable[[str], list[Part]]
    eager: bool
    queue: deque[Job] = field(default_factory=deque)
    pieces: list[Piece] = field(default_factory=list)

    def next_step(self) -> Step | None:
        """Takes out what the worker shall do next, without what nobody waits for any more; ``None`` for nothing."""
        pieces = [piece for piece in self.pieces if piece.job.request.alive]
        self.pieces = []
        jobs = self._admit() if self.eager or not pieces else []
        return Step(self, jobs, pieces) if jobs or pieces else None

    @property
    def has_work(self) -> bool:
        """Whether anything is queued, wanted or not."""
        return bool(self.queue or self.pieces)

    def waiting(self) -> list[Job]:
        """The texts not admitted yet whose callers still wait."""
        return [job for job in self.queue if job.request.alive]

    def _admit(self) -> list[Job]:
        jobs: list[Job] = []
        characters = 0
        while self.queue and len(jobs) < _ADMIT_TEXTS and characters < _ADMIT_CHARACTERS:
            job = self.queue.popleft()
            if job.request.alive:
                jobs.append(job)
                characters += len(job.text)
        return jobs


def take_chunk(
    pieces: list[Piece], *, max_tokens: int, max_parts: int, in_turn: bool
) -> tuple[list[Piece], list[Piece]]:
    """Divides pieces into those that go through the model next, ordered by length, and the rest.

    Args:
        pieces: At least one.
        max_tokens: Most tokens of the chunk, padding included; one piece longer than that still goes, alone.
        max_parts: Most pieces of the chunk.
        in_turn: Whether they go by `Piece.turn`, or short ones first, which wastes least on padding.
    """
    ordered = sorted(pieces, key=lambda piece: piece.turn if in_turn else piece.part.tokens)
    count, longest = 1, ordered[0].part.tokens
    while count < min(len(ordered), max_parts):
        longest = max(longest, ordered[count].part.tokens)
        if (count + 1) * longest > max_tokens:
            break
        count += 1
    return sorted(ordered[:count], key=lambda piece: piece.part.tokens), ordered[count:]
