"""What the worker does with a step: its texts are split, and one chunk of what there is then is encoded.

It runs on the worker's thread and touches nothing but the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router_memory.backends.bert.lanes import Job, Piece, Request, Step, take_chunk
from router_memory.backends.bert.splitting import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encode", "Outcome", "Work"]

Encode = Callable[[Sequence[Part]], "NDArray[np.float32]"]
"""Turns parts into rows: float32 of shape (parts, dimension). Called on the worker thread alone."""


@dataclass(slots=True)
class Outcome:
    """What a step came to.

    Attributes:
        split: For each text that was split, how many parts it has.
        rows: Pieces that were encoded, with their vectors.
        failed: Requests that cannot be answered, and why.
        rest: Pieces that are still to be encoded.
        tokens: Tokens of the chunk, padding included; 0 when nothing was encoded in one pass.
        seconds: What encoding it took.
    """

    split: list[tuple[Job, int]] = field(default_factory=list)
    rows: list[tuple[Piece, NDArray[np.float32]]] = field(default_factory=list)
    failed: list[tuple[Request, Exception]] = field(default_factory=list)
    rest: list[Piece] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0


class Work:
    """Does steps.

    Args:
        encode: Turns parts into rows. What it raises fails those texts alone that raise by themselves too.
        batch_size: Most parts encoded at a time.
        chunk_tokens: Most tokens encoded at a time, padding included.
        clock: Seconds, monotonic.
    """

    def __init__(self, encode: Encode, *, batch_size: int, chunk_tokens: int, clock: Callable[[], float]) -> None:
        self._encode = encode
        self._batch_size = batch_size
        self._chunk_tokens = chunk_tokens
        self._clock = clock

    def __call__(self, step: Step) -> Outcome:
        """The whole step."""
        outcome = Outcome()
        pieces = list(step.pieces)
        for job in step.jobs:
            try:
                parts = step.lane.split(job.text)
            except Exception as error:  # noqa: BLE001 -- becomes the EmbeddingError of this request
                outcome.failed.append((job.request, error))
                continue
            outcome.split.append((job, len(parts)))
            pieces.extend(Piece(job, position, part) for position, part in enumerate(parts))
        if pieces:
            chunk, outcome.rest = self.take(step, pieces)
            self._encode_chunk(chunk, outcome)
        return outcome

    def take(self, step: Step, pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
        """The chunk that is encoded next, and what is left of the pieces, of which there is at least one."""
        return take_chunk(pieces, max_tokens=self._chunk_tokens, max_parts=self._batch_size, in_turn=step.lane.eager)

    def _encode_chunk(self, chunk: list[Piece], outcome: Outcome) -> None:
        """Encodes all at once; when that fails, one by one, so that only what is to blame fails."""
        started = self._clock()
        try:
            rows = self._encode([piece.part for piece in chunk])
        except Exception as error:  # noqa: BLE001 -- becomes the EmbeddingError of the requests it belongs to
            if len(chunk) == 1:
                outcome.failed.append((chunk[0].job.request, error))
                return
            for piece in chunk:
                self._encode_chunk([piece], outcome)
            outcome.tokens = 0
            return
        outcome.tokens = len(chunk) * chunk[-1].part.tokens
        outcome.seconds = self._clock() - started
        outcome.rows.extend(zip(chunk, rows, strict=True))
