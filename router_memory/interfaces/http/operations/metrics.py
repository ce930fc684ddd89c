"""`/metrics`: what Prometheus scrapes."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.interfaces.http.api_route import NO_STORE, ApiRoute, ErrorBody
from router_memory.interfaces.http.context import service_of

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"])


@router.get(
    "/metrics",
    summary="Metrics of all workers",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        "default": {"model": ErrorBody, "description": "A wrong request."},
    },
)
async def metrics(request: Request) -> Response:
    """The text format of Prometheus, merged over all workers. No label holds anything that users choose."""
    telemetry = service_of(request.scope).telemetry
    body, content_type = await asyncio.to_thread(telemetry.exposition)
    return Response(body, headers={**NO_STORE, "content-type": content_type})
