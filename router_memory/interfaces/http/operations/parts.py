"""What one process contributes to the answers that are about all of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from router_memory.interfaces.http.operations.readiness import readiness
from router_memory.plugin.describe import describe

if TYPE_CHECKING:
    from router_memory.service import Service

__all__ = ["EVENTS", "STATE", "register"]

STATE = "state"
EVENTS = "events"

_EVENTS_GIVEN = 500


def register(service: Service, *, worker: int = 0) -> None:
    """Has the service answer for this process on the topics of this room. The first call counts.

    Args:
        service: The service.
        worker: Place of this process among the workers.
    """
    if STATE in service.answers:
        return
    began = datetime.now(UTC)

    async def state() -> dict[str, Any]:
        return {"worker": worker, "pid": os.getpid(), **await _state(service, began)}

    async def events() -> dict[str, Any]:
        timeline = service.telemetry.timeline
        return {
            "worker": worker,
            "events": timeline.recent(_EVENTS_GIVEN),
            "requests": timeline.requests(_EVENTS_GIVEN),
        }

    service.answers[STATE] = state
    service.answers[EVENTS] = events


async def _state(service: Service, began: datetime) -> dict[str, Any]:
    generation = service.generation
    memory = generation.memory
    cache = memory.cache_stats()
    return {
        "started_at": began.isoformat(),
        "draining": service.draining,
        "generation": generation.number,
        "loaded_at": generation.loaded_at.isoformat(),
        "warnings": list(memory.warnings),
        "readiness": await readiness(service),
        "in_flight": generation.users,
        "queue_depth": memory.queue_depth,
        "cache": describe(cache) if cache.coherence else None,
    }
