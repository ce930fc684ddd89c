"""`GET /v1/state`: how the service is, merged over all workers; what the dashboard polls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
from router_memory.interfaces.http.operations.looks import Looks
from router_memory.interfaces.http.operations.merged import merged
from router_memory.interfaces.http.operations.parts import STATE, register
from router_memory.service import Service

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"], dependencies=CREDENTIALS)


class _Seen:
    """What one process has seen of the metrics lately, and of the store."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self.looks = Looks()


_seen: WeakKeyDictionary[Service, _Seen] = WeakKeyDictionary()


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
    """Operators only. Counters are those of all workers since the start; latencies are of the last minute.

    Latencies come of the looks that were had in it: where nobody looked for two minutes they begin with this one.
    """
    service = service_of(request.scope)
    register(service)
    seen = _seen.setdefault(service, _Seen())
    with service.lease() as generation:
        require_admin(request.scope, generation)
    # asked without a lease, which would count this request among those that are in flight
    parts, (body, _) = await asyncio.gather(
        service.colleagues.gather(STATE), asyncio.to_thread(service.telemetry.exposition)
    )
    figures, now = Figures(body), datetime.now(UTC)
    recent = seen.looks.recent(figures, now=monotonic(), up_seconds=_up_seconds(parts, now))
    found: dict[str, Any] = merged(generation.config, parts, figures, recent)
    found |= {"now": now, "draining": service.draining}
    if include == "store":
        with service.lease() as current:
            found |= await seen.inventory.of(current)
    return json_response(found)


def _up_seconds(parts: Sequence[Mapping[str, Any]], now: datetime) -> float | None:
    """How long the oldest of all processes has been up."""
    began = [datetime.fromisoformat(str(part["started_at"])) for part in parts if part.get("started_at")]
    return (now - min(began)).total_seconds() if began else None
