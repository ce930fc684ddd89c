"""A user's memories as a whole: listed, added to, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.errors import InvalidRequest
from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, failures, json_response
from router_memory.interfaces.http.context import service_of
from router_memory.interfaces.http.memory import parameters as given
from router_memory.interfaces.http.memory.etags import etag_of
from router_memory.interfaces.http.memory.measured import measured
from router_memory.interfaces.http.memory.models import (
    BatchResult,
    Deleted,
    Memory,
    MemoryPage,
    NewMemories,
    NewMemory,
    memory_of,
)
from router_memory.pipeline.remember import check_content
from router_memory.service import Generation
from router_memory.types import MemoryRecord, Scope

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["memory"], dependencies=CREDENTIALS)

_AT_ONCE = 16
"""Memories of a batch that are embedded and stored at the same time."""

_NEW = {"model": Memory, "description": "It is stored.", "headers": {"Location": {"schema": {"type": "string"}}}}
_KNOWN = {"model": Memory, "description": "It was there already; nothing changed."}


@router.get(
    "/v1/memory",
    response_model=MemoryPage,
    operation_id="listMemories",
    summary="List memories",
    responses=failures(400),
    openapi_extra=given.documented(given.TYPE, given.LIMIT, given.CURSOR, given.PROJECT, given.PROJECT_HEADER),
)
async def page(request: Request) -> Response:
    """The user's memories, newest first, a page at a time."""
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "list") as told:
        query = given.query_of(request, generation, "type", "limit", "cursor", "project")
        scope = given.scope_of(request, generation, query.get("project"))
        types, limit = given.types_of(query), given.limit_of(query)
        found = await generation.memory.list(scope, types=types, limit=limit, cursor=query.get("cursor"))
        told.results = len(found.records)
    memories = [memory_of(record) for record in found.records]
    return json_response({"memories": memories, "total": found.total, "limit": limit, "cursor": found.cursor})


@router.post(
    "/v1/memory",
    status_code=201,
    response_model=Memory,
    operation_id="addMemory",
    summary="Store a memory",
    responses={201: _NEW, 200: _KNOWN, **failures(400, 413, 415)},
    openapi_extra=given.documented(given.PROJECT_HEADER),
)
async def add(request: Request, body: NewMemory) -> Response:
    """Stores one memory. Its id follows from owner, type and content, so repeating the call stores nothing twice."""
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "add"):
        given.query_of(request, generation)
        scope = given.scope_of(request, generation, body.project)
        record, fresh = await _added(generation, scope, body, datetime.now(UTC))
    etag = {"etag": etag_of(record)}
    return json_response(memory_of(record), 201 if fresh else 200, {**etag, **_location(record)} if fresh else etag)


@router.post(
    "/v1/memory:batch",
    response_model=BatchResult,
    operation_id="addMemories",
    summary="Store several memories",
    responses=failures(400, 413, 415),
    openapi_extra=given.documented(given.PROJECT_HEADER),
)
async def add_batch(request: Request, body: NewMemories) -> Response:
    """Stores up to 100 memories. All are checked before the first is stored.

    When the store fails on the way, some may be stored; repeating the whole call is safe.
    """
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "add"):
        given.query_of(request, generation)
        scopes = [given.scope_of(request, generation, memory.project or body.project) for memory in body.memories]
        _check(generation, body.memories)
        results = await _added_together(generation, scopes, body.memories)
    statuses = ["stored" if fresh else "merged" for _, fresh in results]
    described = [
        {"status": status, "memory": memory_of(record)} for status, (record, _) in zip(statuses, results, strict=True)
    ]
    return json_response({"results": described, "stored": statuses.count("stored"), "merged": statuses.count("merged")})


@router.delete(
    "/v1/memory",
    response_model=Deleted,
    operation_id="deleteMemories",
    summary="Delete a user's memories",
    responses=failures(400),
    openapi_extra=given.documented(given.TYPE, given.PROJECT, given.PROJECT_HEADER),
)
async def delete(request: Request) -> Response:
    """Deletes all of the user's memories, or those of some types or of a project."""
    service = service_of(request.scope)
    with service.lease() as generation, measured(service, "forget"):
        query = given.query_of(request, generation, "type", "project")
        scope = given.scope_of(request, generation, query.get("project"), must_say=True)
        count = await generation.memory.forget_scope(scope, types=given.types_of(query, must_say=True))
    message = f"{count:,} {'memory' if count == 1 else 'memories'} deleted"
    return json_response({"success": True, "message": message, "deleted": count})


def _location(record: MemoryRecord) -> dict[str, str]:
    return {"location": f"/v1/memory/{record.id}"}


def _check(generation: Generation, memories: Sequence[NewMemory]) -> None:
    """Refuses what cannot be stored before anything is."""
    limit = generation.config.write_policy.max_content_bytes
    for number, memory in enumerate(memories):
        try:
            check_content(memory.content, limit=limit)
        except InvalidRequest as error:
            raise InvalidRequest(f"memories.{number}: {error.message}", field=error.field, hint=error.hint) from None


async def _added(generation: Generation, scope: Scope, new: NewMemory, at: datetime) -> tuple[MemoryRecord, bool]:
    """The memory as it is stored, and whether this call stored it: then its time is the one given here."""
    record = await generation.memory.add(
        scope, new.content, type=new.type, speaker=new.speaker, importance=new.importance, now=at
    )
    return record, record.created_at == at


async def _added_together(
    generation: Generation, scopes: Sequence[Scope], memories: Sequence[NewMemory]
) -> list[tuple[MemoryRecord, bool]]:
    """The same for several, each with a time of its own, so that they are listed in the order they came in."""
    began, free = datetime.now(UTC), asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> tuple[MemoryRecord, bool]:
        async with free:
            at = began + timedelta(microseconds=number)
            return await _added(generation, scopes[number], memories[number], at)

    results = await asyncio.gather(*map(one, range(len(memories))), return_exceptions=True)  # all end before any error
    failed = next((result for result in results if isinstance(result, BaseException)), None)
    if failed is not None:
        raise failed
    return [result for result in results if not isinstance(result, BaseException)]
