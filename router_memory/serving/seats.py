"""The places that workers take one after the other, and how patient the parent is with those who do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router_memory.serving.backoff import Backoff

if TYPE_CHECKING:
    from router_memory.serving.hand import Hand

__all__ = ["Seat", "Tempo"]


@dataclass(frozen=True, slots=True)
class Tempo:
    """How long the parent waits for what, in seconds.

    Attributes:
        start: For a worker to open its store and its model, which may have to be exported first.
        serve: For an open worker to begin to accept.
        gather: For what a worker has to say on a topic.
        ping: Between two looks whether a worker is alive, and for its answer.
        silences: Looks in a row without an answer after which a worker is killed.
        kill: Beyond the time that draining may take, until what is left is killed.
    """

    start: float = 900.0
    serve: float = 30.0
    gather: float = 2.0
    ping: float = 5.0
    silences: int = 12
    kill: float = 3.0


@dataclass(slots=True)
class Seat:
    """A place for a worker, which outlives those who take it.

    Attributes:
        index: From 0.
        hand: The worker; ``None`` between two.
        restarts: How many it has lost.
        backoff: When the next one may be started.
    """

    index: int
    hand: Hand | None = None
    restarts: int = 0
    backoff: Backoff = field(default_factory=Backoff)

    def described(self) -> dict[str, Any]:
        """As JSON."""
        hand = self.hand
        return {
            "index": self.index,
            "pid": None if hand is None else hand.pid,
            "stage": "gone" if hand is None else hand.stage.value,
            "generation": 0 if hand is None else hand.generation,
            "started_at": None if hand is None else hand.started_at.isoformat(),
            "restarts": self.restarts,
        }
