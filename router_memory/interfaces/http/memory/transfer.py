"""Memories out of the service and into it, as the lines of JSON that `router-memory export` writes too."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing
from typing import Any

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from router_memory.errors import BackendError, BackendTimeout, EmbeddingError, InvalidRequest
from router_memory.interfaces.http.api_route import CREDENTIALS, NO_STORE, ApiRoute, failures, json_response
from router_memory.interfaces.http.context import caller_of, require_admin, service_of
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.memory import parameters as given
from router_memory.interfaces.http.memory.measured import Measured, measured
from router_memory.interfaces.http.memory.models import ImportResult
from router_memory.ndjson import MAX_LINE_BYTES, Tally, lines
from router_memory.pipeline.transfer import batches
from router_memory.service import Generation
from router_memory.service.breadth import is_too_broad
from router_memory.storage.portable import from_line, to_line
from router_memory.types import MemoryRecord, Scope

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["memory"], dependencies=CREDENTIALS)

NDJSON = "application/x-ndjson"

_WRITTEN_AT_ONCE = 64 * 1024
_MOST_VALUES = 10_000  # in one line; a memory has a dozen
_LINE = '{"format": "router-memory/1", "id": "a1", "user_id": "ana", "content": "prefers aisle seats", …}\n'
_NDJSON_BODY: dict[str, Any] = {NDJSON: {"schema": {"type": "string", "format": "binary"}, "example": _LINE}}


@router.get(
    "/v1/memory/export",
    response_class=StreamingResponse,
    operation_id="exportMemories",
    summary="Export memories",
    responses={200: {"description": "One memory a line.", "content": _NDJSON_BODY}, **failures(400, 403)},
    openapi_extra=given.documented(given.EVERYONE, given.PROJECT, given.PROJECT_HEADER),
)
async def export(request: Request) -> Response:
    """Every memory of the user as a line of JSON, or with `all=true` those of all users, for an admin.

    They are read a page at a time while requests go on. Where the store fails on the way, the answer breaks off before
    its last chunk; the lines that came are whole memories.
    """
    service = service_of(request.scope)
    with ExitStack() as undo:
        generation = undo.enter_context(service.lease())
        told = undo.enter_context(measured(service, "export"))
        scope = _exported_scope(request, generation)
        pieces = _pieces(generation.memory.export(scope), told)
        first = await anext(pieces, b"")  # what fails at once is an error, and not an answer that breaks off
        held = undo.pop_all()
    return _Export(first, pieces, held)


@router.post(
    "/v1/memory/import",
    response_model=ImportResult,
    operation_id="importMemories",
    summary="Import memories",
    responses=failures(400),
    openapi_extra={
        **given.documented(given.PROJECT_HEADER),
        "requestBody": {"required": True, "content": _NDJSON_BODY},
    },
)
async def import_(request: Request) -> Response:
    """Stores the memories of an export with their ids, times and counts; of what is there already nothing changes.

    Lines are taken as they come, so the body may be of any length that the service lets through. A line that is no
    memory, or one of somebody else, is refused and told by its number, and the others are stored; an admin may
    import the memories of all. Repeating an import is safe.
    """
    service = service_of(request.scope)
    tally = Tally()
    with service.lease() as generation, measured(service, "import") as told:
        given.query_of(request, generation)
        owner = _import_scope(request, generation)
        try:
            longest = generation.config.write_policy.max_content_bytes
            async for batch in batches(_records(request, owner, longest, tally)):
                tally.done(await generation.memory.restore(batch))
                told.results = tally.stored + tally.merged
        except ClientDisconnect:
            raise ApiError(400, "CLIENT_DISCONNECTED", f"the body broke off; {_so_far(tally)}") from None
        except (BackendError, EmbeddingError) as error:
            raise _stopped(error, tally) from error
    return json_response(tally.described())


class _Export(StreamingResponse):
    """Holds its generation until the last byte is sent or the client has gone."""

    def __init__(self, first: bytes, pieces: AsyncGenerator[bytes, None], held: ExitStack) -> None:
        disposition = {"content-disposition": 'attachment; filename="memories.ndjson"'}
        super().__init__(_with(first, pieces), headers={**NO_STORE, **disposition}, media_type=NDJSON)
        self._pieces = pieces
        self._held = held

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Sends it."""
        with self._held:
            async with aclosing(self._pieces):
                await super().__call__(scope, receive, send)


async def _with(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


async def _pieces(records: AsyncGenerator[MemoryRecord, None], told: Measured) -> AsyncGenerator[bytes, None]:
    """The lines, some 64 KiB at a time."""
    waiting, told.results = bytearray(), 0
    async with aclosing(records):
        async for record in records:
            told.results += 1
            waiting += to_line(record).encode() + b"\n"
            if len(waiting) >= _WRITTEN_AT_ONCE:
                yield bytes(waiting)
                waiting.clear()
    yield bytes(waiting)


def _exported_scope(request: Request, generation: Generation) -> Scope | None:
    """Whose memories are to be exported; ``None`` for those of all users."""
    query = given.query_of(request, generation, "all", "project")
    if not given.flag(query, "all"):
        return given.scope_of(request, generation, query.get("project"))
    require_admin(request.scope, generation)
    if "project" in query:
        raise ApiError(400, "INVALID_PROJECT", "projects belong to one user; all=true excludes project")
    return None


def _import_scope(request: Request, generation: Generation) -> Scope | None:
    """Whose memories may be imported; ``None`` for those of all users."""
    return None if caller_of(request.scope, generation).admin else given.scope_of(request, generation)


def _so_far(tally: Tally) -> str:
    return f"{tally.stored:,} stored, {tally.merged:,} there already; importing again stores nothing twice"


async def _records(request: Request, owner: Scope | None, longest: int, tally: Tally) -> AsyncIterator[MemoryRecord]:
    """The memories of the lines that hold one the caller may import; the others are refused."""
    async for line in lines(request.stream()):
        if line.text is not None and not line.text.strip():
            continue
        tally.lines += 1
        try:
            if line.text is None:
                raise InvalidRequest(f"is longer than {MAX_LINE_BYTES:,} bytes")
            if is_too_broad(line.text, most=_MOST_VALUES):
                raise InvalidRequest("has too many fields, or is not UTF-8")
            record, unknown = from_line(line.text)
            if owner is not None:
                _check_own(record, owner, longest)
        except InvalidRequest as error:
            tally.refuse(line.number, str(error))
            continue
        tally.take(unknown)
        yield record


def _check_own(record: MemoryRecord, owner: Scope, longest: int) -> None:
    """What holds for everybody but an admin: no memories of others, and none longer than `POST /v1/memory` takes."""
    if len(record.content.encode()) > longest:
        raise InvalidRequest(f"content is longer than {longest:,} bytes", field="content")
    if record.scope.user_id != owner.user_id:
        raise InvalidRequest("belongs to another user than the one who imports it", field="user_id")
    if owner.project is not None and record.scope.project != owner.project:
        raise InvalidRequest("belongs to another project than the request", field="project")


def _stopped(error: BackendError | EmbeddingError, tally: Tally) -> ApiError:
    """The answer to an import that could not go on."""
    if isinstance(error, BackendTimeout):
        return ApiError(504, "MEMORY_TIMEOUT", f"the store did not answer in time, after {_so_far(tally)}")
    return ApiError(503, "MEMORY_NOT_AVAILABLE", f"memory is not available any more, after {_so_far(tally)}")
