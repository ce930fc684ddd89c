"""`GET /v1/decisions`: the policy of each decision, as it came out of globals and overrides."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, failures, json_response
from router_memory.interfaces.http.context import require_admin, service_of
from router_memory.plugin.describe import describe

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["operations"], dependencies=CREDENTIALS)


@router.get("/v1/decisions", summary="Decisions and their policies", response_class=Response, responses=failures(403))
async def decisions(request: Request) -> Response:
    """Operators only. What holds for each decision, and the aliases that stand for decisions in `model`."""
    with service_of(request.scope).lease() as generation:
        require_admin(request.scope, generation)
        config = generation.config
    service = config.memory.service
    return json_response(
        {
            "globals": describe(config.policy(None)),
            "decisions": [{"name": name, "policy": describe(config.policy(name))} for name in config.decisions],
            "models": [
                {"name": alias.name, "decision": alias.decision, "upstream_model": alias.upstream_model}
                for alias in service.models
            ],
            "default_decision": service.default_decision,
            "decision_header": service.decision_header,
            "user_header": config.identity.user_header,
            "project_header": service.project_header,
        }
    )
