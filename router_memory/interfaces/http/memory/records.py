"""One memory: read, changed, deleted."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, failures, json_response
from router_memory.interfaces.http.context import service_of
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.memory import parameters as given
from router_memory.interfaces.http.memory.etags import etag_of, is_known, is_same
from router_memory.interfaces.http.memory.measured import measured
from router_memory.interfaces.http.memory.models import Deleted, Memory, MemoryChanges, memory_of
from router_memory.memory import MemoryPlugin
from router_memory.types import MemoryRecord, Scope

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["memory"], dependencies=CREDENTIALS)

_REVALIDATE = {"cache-control": "private, no-cache"}
_IF_MATCH, _IF_NONE_MATCH = "if-match", "if-none-match"
_WITH_ETAG = {"headers": {"ETag": {"description": "Of this state.", "schema": {"type": "string"}}}}


@router.get(
    "/v1/memory/{id:path}",
    response_model=Memory,
    operation_id="getMemory",
    summary="One memory",
    responses={200: _WITH_ETAG, **failures(304, 400, 404)},
    openapi_extra=given.documented(given.PROJECT, given.PROJECT_HEADER, given.IF_NONE_MATCH),
)
async def get(request: Request, id: str) -> Response:
    """The memory of this id. A memory of somebody else is as absent as one that does not exist."""
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "get"):
        query = given.query_of(request, generation, "project")
        scope = given.scope_of(request, generation, query.get("project"))
        record = await _found(generation.memory, scope, given.id_of(id))
    etag = etag_of(record)
    if is_known(request.headers.get(_IF_NONE_MATCH), etag):
        return Response(status_code=304, headers={**_REVALIDATE, "etag": etag})
    return json_response(memory_of(record), headers={**_REVALIDATE, "etag": etag})


@router.patch(
    "/v1/memory/{id:path}",
    response_model=Memory,
    operation_id="changeMemory",
    summary="Change a memory",
    responses={200: _WITH_ETAG, **failures(400, 404, 412, 413, 415)},
    openapi_extra=given.documented(given.PROJECT, given.PROJECT_HEADER, given.IF_MATCH),
)
async def change(request: Request, id: str, body: MemoryChanges) -> Response:
    """Changes what the body names and answers with the memory as it is now. New content is embedded anew; the id stays.

    With If-Match only the state that it names is changed.
    """
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "update"):
        query = given.query_of(request, generation, "project")
        scope, wanted = given.scope_of(request, generation, query.get("project")), given.id_of(id)
        await _check_state(request, generation.memory, scope, wanted)
        record = await generation.memory.update(
            scope, wanted, content=body.content, type=body.type, importance=body.importance
        )
        if record is None:
            raise _absent()
    return json_response(memory_of(record), headers={"etag": etag_of(record)})


@router.delete(
    "/v1/memory/{id:path}",
    response_model=Deleted,
    operation_id="deleteMemory",
    summary="Delete a memory",
    responses=failures(400, 404, 412),
    openapi_extra=given.documented(given.PROJECT, given.PROJECT_HEADER, given.IF_MATCH),
)
async def delete(request: Request, id: str) -> Response:
    """Deletes one memory. With If-Match only in the state that it names."""
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "forget"):
        query = given.query_of(request, generation, "project")
        scope, wanted = given.scope_of(request, generation, query.get("project")), given.id_of(id)
        await _check_state(request, generation.memory, scope, wanted)
        if not await generation.memory.forget(scope, wanted):
            raise _absent()
    return json_response({"success": True, "message": "1 memory deleted", "deleted": 1})


async def _found(memory: MemoryPlugin, scope: Scope, id: str) -> MemoryRecord:
    record = await memory.get(scope, id)
    if record is None:
        raise _absent()
    return record


async def _check_state(request: Request, memory: MemoryPlugin, scope: Scope, id: str) -> None:
    """Refuses a write whose If-Match names another state than the memory is in."""
    wanted = request.headers.get(_IF_MATCH)
    if wanted is not None and not is_same(wanted, etag_of(await _found(memory, scope, id))):
        raise ApiError(412, "PRECONDITION_FAILED", "the memory has changed since")


def _absent() -> ApiError:
    return ApiError(404, "NOT_FOUND", "there is no such memory")
