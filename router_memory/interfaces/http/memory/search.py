"""Searching a user's memories."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.config.nearest import nearest
from router_memory.errors import InvalidRequest
from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, failures, json_response
from router_memory.interfaces.http.context import service_of
from router_memory.interfaces.http.memory import parameters as given
from router_memory.interfaces.http.memory.measured import measured
from router_memory.interfaces.http.memory.models import Found, SearchRequest, memory_of
from router_memory.plugin.describe import describe
from router_memory.service import Generation

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["memory"], dependencies=CREDENTIALS)


@router.post(
    "/v1/memory/search",
    response_model=Found,
    operation_id="searchMemories",
    summary="Search memories",
    responses=failures(400, 413, 415),
    openapi_extra=given.documented(given.PROJECT_HEADER),
)
async def search(request: Request, body: SearchRequest) -> Response:
    """The user's memories that are most relevant to a query, as a request of that decision would find them.

    `explain` tells every number behind the result, the best of those that were left out among them.
    """
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "search") as told:
        given.query_of(request, generation)
        found = await generation.memory.recollect(
            given.scope_of(request, generation, body.project),
            body.query,
            limit=body.limit,
            threshold=body.threshold,
            types=body.types,
            decision=_known(generation, body.decision),
            mode=body.mode,
            cutoff=body.cutoff,
        )
        told.results = len(found.hits)
    results = [
        {"memory": memory_of(hit.record), "similarity": hit.similarity, "score": hit.score} for hit in found.hits
    ]
    return json_response(
        {
            "results": results,
            "threshold": found.cut.threshold,
            "cache": found.cache.value,
            "explain": describe(found) if body.explain else None,
        }
    )


def _known(generation: Generation, decision: str | None) -> str | None:
    """The decision, none for a blank. A router's request with an unknown one gets the globals; a person mistyped.

    Raises:
        InvalidRequest: The configuration has none of that name.
    """
    decisions = generation.memory.decisions
    if decision and decision not in decisions:
        match = nearest(decision, decisions)
        hint = f"did you mean {match!r}?" if match else "leave it out for the global settings"
        raise InvalidRequest("the configuration has no decision of that name", field="decision", hint=hint)
    return decision or None
