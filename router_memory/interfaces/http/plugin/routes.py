"""A chat request and its reply, as a router in any language hands them over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from router_memory.config import Config
from router_memory.errors import InvalidRequest
from router_memory.interfaces.http.api_route import CREDENTIALS, ApiRoute, failures
from router_memory.interfaces.http.context import caller_of, require_scope, service_of
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.plugin import tickets
from router_memory.interfaces.http.plugin.bodies import answer
from router_memory.interfaces.http.plugin.models import PluginAnswer, PluginReceipt, PluginRequest, PluginResponse
from router_memory.pipeline.messages import are_wellformed, new_turns
from router_memory.plugin.describe import describe
from router_memory.plugin.writes import Receipt
from router_memory.service import Generation, Service
from router_memory.types import Hit, Message, Outcome

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute, tags=["plugin"], dependencies=CREDENTIALS)

_WAIT_SECONDS = 30.0
_PROJECT = {
    "name": "x-project-id",
    "in": "header",
    "required": False,
    "description": "The project; the name of the header is `service.project_header`.",
    "schema": {"type": "string"},
}


@router.post(
    "/v1/plugin/request",
    response_model=PluginAnswer,
    operation_id="pluginRequest",
    summary="Memories for a chat request",
    responses=failures(400, 413, 415),
    openapi_extra={"parameters": [_PROJECT]},
)
async def on_request(request: Request, body: PluginRequest) -> Response:
    """What `MemoryPlugin.on_request` does: the messages to send on, with the memories that matter for the decision.

    Memory never fails a chat: whatever goes wrong with it is a status and a reason, and the messages come back as
    they came. Where this call itself fails, send the request on as it is.
    """
    service = service_of(request.scope)
    with service.lease() as generation:
        caller = require_scope(request.scope, generation)
        outcome = await generation.memory.on_request(
            decision=body.decision,
            messages=body.messages,
            user_id=caller.user_id,
            headers=body.headers,
            model=body.model,
            project=_project(caller.project, body.project),
            conversation_id=body.conversation_id,
            now=body.now,
        )
        service.telemetry.request(outcome, interface="plugin")
        key = await _key(service, generation)
        explained = describe(outcome.explain) if body.explain else None
        if explained is not None:
            explained["error"] = _told(explained["error"], admin=caller_of(request.scope, generation).admin)
    ticket, needs_messages = tickets.write(key, outcome.scope or caller, outcome, now=time.time())
    return answer(
        {
            "messages": outcome.messages if body.return_messages else None,
            "injected": _injected(body.messages, outcome.messages),
            "status": outcome.status,
            "reason": outcome.reason,
            "memories": [_memory(hit) for hit in outcome.memories],
            "conversation_id": outcome.conversation_id,
            "ticket": ticket,
            "ticket_needs_messages": needs_messages,
            "seconds": outcome.explain.seconds["total"],
            "explain": explained,
        }
    )


@router.post(
    "/v1/plugin/response",
    status_code=202,
    response_model=PluginReceipt,
    operation_id="pluginResponse",
    summary="The reply to a chat request",
    responses={
        202: {"description": "The turn waits to be written."},
        200: {"model": PluginReceipt, "description": "What became of it."},
        **failures(400, 413, 415),
    },
)
async def on_response(request: Request, body: PluginResponse) -> Response:
    """What `MemoryPlugin.on_response` does: queues the turn. A ticket brought again stores nothing twice."""
    service = service_of(request.scope)
    with service.lease() as generation:
        caller = require_scope(request.scope, generation)
        ticket = tickets.read(await _key(service, generation), body.ticket, caller, now=time.time())
        outcome = _outcome(generation, ticket, body)
        receipt = await generation.memory.on_response(outcome, body.reply)
        service.telemetry.receipt(receipt)
        if body.wait:
            await _settled(receipt)
        admin = caller_of(request.scope, generation).admin
    results = [
        {"status": each.status, "reason": _told(each.reason, admin=admin), "id": each.id} for each in receipt.results
    ]
    return answer({"queued": not receipt.done, "results": results}, 200 if receipt.done else 202)


def _outcome(generation: Generation, ticket: tickets.Ticket, body: PluginResponse) -> Outcome:
    """The outcome of the request, from the ticket and, where that needs them, from the messages."""
    if not ticket.needs_messages:
        return ticket.outcome(body.reply, messages=(), turns=())
    if body.messages is None or not are_wellformed(body.messages):
        raise ApiError(400, "MESSAGES_NEEDED", "this ticket needs the request's messages again, as a list of objects")
    policy = generation.config.write_policy
    turns = new_turns(body.messages, roles=policy.roles, now=ticket.now, history=policy.history)
    return ticket.outcome(body.reply, messages=body.messages, turns=turns)


async def _settled(receipt: Receipt) -> None:
    """Waits until the receipt is final, or has been waited for long enough."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            await receipt.wait()
    except TimeoutError:
        return


async def _key(service: Service, generation: Generation) -> bytes:
    """What signs the tickets of all workers, made once for each configuration, beside the event loop."""
    making = service.resource(generation, "ticket key", lambda config: asyncio.ensure_future(_made(config)), _dropped)
    return await asyncio.shield(making)


async def _made(config: Config) -> bytes:
    secret = await asyncio.to_thread(config.admin_key)
    return await asyncio.to_thread(tickets.key_of, "" if secret is None else secret.get_secret_value())


async def _dropped(making: asyncio.Future[bytes]) -> None:
    making.cancel()


def _told(error: str, *, admin: bool) -> str:
    """An error as its class and message: where the store is and what is wrong with it, operators alone are told."""
    kind, colon, _ = error.partition(": ")
    return error if admin or not colon or kind == InvalidRequest.__name__ else kind


def _project(header: str | None, field: str | None) -> str | None:
    if header is not None and field is not None and header != field:
        raise ApiError(400, "INVALID_PROJECT", "the project header and the request name different projects")
    return header if field is None else field


def _injected(before: Any, after: Sequence[Message]) -> dict[str, Any] | None:
    """The message that was added and where; the others are the same objects as before."""
    if after is before or len(after) == len(before):
        return None
    index = next((at for at, own in enumerate(before) if after[at] is not own), len(before))
    return {"index": index, "message": after[index]}


def _memory(hit: Hit) -> dict[str, Any]:
    record = hit.record
    return {
        "id": record.id,
        "type": record.type.value,
        "content": record.content,
        "speaker": record.speaker,
        "created_at": record.created_at,
        "similarity": hit.similarity,
        "score": hit.score,
    }
