"""`POST /v1/config/reload`: the configuration file, read again by every worker or by none."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.errors import ConfigError, RouterMemoryError
from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, ErrorBody, json_response
from router_memory.interfaces.http.context import require_admin, service_of
from router_memory.interfaces.http.errors import ApiError

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"], dependencies=CREDENTIALS)


@router.post(
    "/v1/config/reload",
    summary="Load the configuration anew",
    response_class=Response,
    responses={
        422: {"model": ErrorBody, "description": "`INVALID_CONFIGURATION`: the file is wrong; the old one stays."},
        503: {"model": ErrorBody, "description": "`RELOAD_FAILED`: it could not be opened; the old one stays."},
        "default": {"model": ErrorBody, "description": "Any other error."},
    },
)
async def reload(request: Request) -> Response:
    """Operators only.

    All workers change over, or none does: `changed` names the keys whose values differ, `needs_restart` those of them
    that take effect with the next start of the service, `warnings` what the configuration asks for without effect.
    """
    service = service_of(request.scope)
    with service.lease() as generation:
        require_admin(request.scope, generation)
    try:
        result = await service.colleagues.reload()
    except ConfigError as error:
        raise ApiError(422, "INVALID_CONFIGURATION", str(error)) from None
    except RouterMemoryError as error:
        raise ApiError(503, "RELOAD_FAILED", str(error)) from None
    return json_response(asdict(result))
