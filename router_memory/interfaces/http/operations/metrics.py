"""`/metrics`: what Prometheus scrapes."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.interfaces.http.api_route import NO_STORE, ApiRoute, ErrorBody
from router_memory.interfaces.http.context import service_of
from router_memory.telemetry import Telemetry

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"])

_under_way: WeakKeyDictionary[Telemetry, asyncio.Task[tuple[bytes, str]]] = WeakKeyDictionary()


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
    body, content_type = await _exposition(service_of(request.scope).telemetry)
    return Response(body, headers={**NO_STORE, "content-type": content_type})


async def _exposition(telemetry: Telemetry) -> tuple[bytes, str]:
    """The metrics, put together once for all who ask meanwhile: no limit of requests holds here."""
    task = _under_way.get(telemetry)
    if task is None or task.done():
        task = asyncio.create_task(asyncio.to_thread(telemetry.exposition), name="router-memory-metrics")
        _under_way[telemetry] = task
    return await asyncio.shield(task)
