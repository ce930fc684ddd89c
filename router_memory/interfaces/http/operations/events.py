"""`GET /v1/events`: what happened lately, in all processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, failures, json_response
from router_memory.interfaces.http.context import require_admin, service_of
from router_memory.interfaces.http.operations.parts import EVENTS, register

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"], dependencies=CREDENTIALS)

_LEVELS = {"worker_died": "error", "reload_refused": "warn", "store_away": "error"}


@router.get("/v1/events", summary="What happened lately", response_class=Response, responses=failures(400, 403))
async def events(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most that are given.")] = 200,
    since: Annotated[datetime | None, Query(description="Only later ones; ISO 8601, UTC where it says none.")] = None,
    requests: Annotated[bool, Query(description="Whether chats are listed too, without users and texts.")] = False,
) -> Response:
    """Operators only. The events of all workers and of their parent, newest first."""
    service = service_of(request.scope)
    with service.lease() as generation:
        require_admin(request.scope, generation)
    register(service)
    parts = await service.colleagues.gather(EVENTS)
    found = [event for part in parts for event in _events(part, requests=requests)]
    if since is not None:
        after = since if since.tzinfo is not None else since.replace(tzinfo=UTC)
        found = [event for event in found if datetime.fromisoformat(event["at"]) > after]
    found.sort(key=lambda event: str(event["at"]), reverse=True)
    return json_response({"events": found[:limit]})


def _events(part: Mapping[str, Any], *, requests: bool) -> Iterable[dict[str, Any]]:
    listed = [*part.get("events", ()), *(part.get("requests", ()) if requests else ())]
    for event in listed:
        level = _LEVELS.get(event["kind"], "warn" if event.get("state") == "open" else "info")
        yield {"worker": part.get("worker"), "level": level, **event}
