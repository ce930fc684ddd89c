"""`/livez` and `/readyz`: what Kubernetes and load balancers ask."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from router_memory.errors import NotAuthenticated
from router_memory.interfaces.http.api_route import ApiRoute, ErrorBody, json_response
from router_memory.interfaces.http.context import caller_of, service_of
from router_memory.interfaces.http.operations.readiness import readiness

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"])

_REFUSED: dict[int | str, dict[str, Any]] = {"default": {"model": ErrorBody, "description": "A wrong request."}}


@router.get("/livez", summary="Whether the process lives", response_class=Response, responses=_REFUSED)
async def livez(request: Request) -> Response:
    """200 as long as the process answers at all. It needs no store, so a store that is away restarts nothing."""
    service_of(request.scope)
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="Whether requests should be sent here",
    response_class=Response,
    responses={503: {"description": "Not ready; `checks` says which part is not."}, **_REFUSED},
)
async def readyz(
    request: Request,
    wanted: Annotated[
        Literal["memory", "chats"],
        Query(
            alias="for",
            description="`memory`: the model is loaded, the store answers, its index is complete. `chats`: it is up "
            "and not draining, for chats go through without memory too.",
        ),
    ] = "memory",
) -> Response:
    """200 or 503, with each check by name. What was found in detail is told to operators alone."""
    service = service_of(request.scope)
    if wanted == "chats":
        ready = service.opened and not service.draining
        return json_response({"ready": ready, "draining": service.draining}, 200 if ready else 503)
    found = await readiness(service)
    if not _is_operator(request):
        found["checks"] = [{"name": check["name"], "ok": check["ok"]} for check in found["checks"]]
    return json_response(found, 200 if found["ready"] else 503)


def _is_operator(request: Request) -> bool:
    """Whether details may be shown, such as the address of the store. A wrong credential fails no probe."""
    service = service_of(request.scope)
    if not service.opened:
        return False
    try:
        return caller_of(request.scope, service.generation).admin
    except NotAuthenticated:
        return False
