"""`GET /v1/state`: how the service is, merged over all workers; what the dashboard polls."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, failures, json_response
from router_memory.interfaces.http.context import require_admin, service_of
from router_memory.interfaces.http.operations.figures import Figures
from router_memory.interfaces.http.operations.inventory import Inventory
from router_memory.interfaces.http.operations.merged import merged
from router_memory.interfaces.http.operations.parts import STATE, register
from router_memory.service import Service

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"], dependencies=CREDENTIALS)

WINDOW_SECONDS = 60.0
"""What latencies are of, as far back as this worker was asked before."""
_STEP_SECONDS = 1.0


class _Looks:
    """What one process has seen of the metrics lately, and of the store."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self._seen: list[tuple[float, Figures]] = []

    def earlier(self, figures: Figures) -> Figures:
        """What was seen about `WINDOW_SECONDS` ago, or at the first look since; notes this look."""
        now = monotonic()
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.pop(0)
        if not self._seen or now - self._seen[-1][0] >= _STEP_SECONDS:
            self._seen.append((now, figures))
        return self._seen[0][1]


_looks: WeakKeyDictionary[Service, _Looks] = WeakKeyDictionary()


@router.get("/v1/state", summary="How the service is", response_class=Response, responses=failures(400, 403))
async def state(
    request: Request,
    include: Annotated[
        Literal["", "store"],
        Query(
            description="`store`: also what the store holds and what an examination of it finds. That looks at all of "
            "it, in the background, and is given again for half a minute."
        ),
    ] = "",
) -> Response:
    """Operators only. Counters are those of all workers since the start; latencies are of the last minute."""
    service = service_of(request.scope)
    register(service)
    looks = _looks.setdefault(service, _Looks())
    with service.lease() as generation:
        require_admin(request.scope, generation)
        parts, (body, _) = await asyncio.gather(
            service.colleagues.gather(STATE), asyncio.to_thread(service.telemetry.exposition)
        )
        figures = Figures(body)
        found: dict[str, Any] = merged(generation.config, parts, figures, figures.since(looks.earlier(figures)))
        found |= {"now": datetime.now(UTC), "draining": service.draining}
        if include == "store":
            found |= await looks.inventory.of(generation)
    return json_response(found)
