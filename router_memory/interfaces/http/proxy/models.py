"""``GET /v1/models``: the upstream's list, and the names this service adds to it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from router_memory.errors import RouterMemoryError
from router_memory.interfaces.http.context import service_of
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.proxy.exchange import admitted, send_failure
from router_memory.interfaces.http.proxy.failures import FAILURES, UpstreamFailed, failure_of
from router_memory.interfaces.http.proxy.headers import to_client, to_upstream
from router_memory.interfaces.http.proxy.upstream import Answer, Upstream
from router_memory.interfaces.http.proxy.values import edited, laid_out, read_object, written

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from router_memory.service import Generation, Service

__all__ = ["ModelsEndpoint"]

_OWNER = "router-memory"
_MOST_BYTES = 8_388_608


class ModelsEndpoint:
    """An ASGI application that lists models."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request."""
        del receive
        try:
            service = service_of(scope)
            with service.lease() as generation:
                status, headers, body = await self._list(service, generation, scope)
        except (ApiError, RouterMemoryError, UpstreamFailed) as error:
            await send_failure(send, error)
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _list(
        self, service: Service, generation: Generation, scope: MutableMapping[str, Any]
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        caller = admitted(scope, generation)
        upstream = Upstream.of(service, generation)
        onward = to_upstream(
            scope["headers"],
            not_on=upstream.not_on,
            credential=caller.credential,
            api_key=upstream.api_key,
            collecting=True,
            traced=service.telemetry.trace_headers(),
        )
        answer = await upstream.send("GET", "/models", onward)
        try:
            body = await _whole(answer)
        finally:
            await answer.close()
        if answer.status == 200 and upstream.models and not answer.header(b"content-encoding"):
            body = await _with_aliases(body, tuple(upstream.models))
        headers = [pair for pair in to_client(answer.headers) if pair[0] != b"content-length"]
        return answer.status, [*headers, (b"content-length", b"%d" % len(body))], body


async def _whole(answer: Answer) -> bytes:
    parts, size = [], 0
    try:
        async for part in answer.parts():
            size += len(part)
            if size > _MOST_BYTES:
                message = "the upstream's list of models is too long"
                raise UpstreamFailed(502, "UPSTREAM_TOO_LONG", message, outcome="502")
            parts.append(part)
    except FAILURES as error:
        raise failure_of(error) from error
    return b"".join(parts)


async def _with_aliases(body: bytes, names: tuple[str, ...]) -> bytes:
    """The list with these names behind the upstream's; a name the upstream has stays as it is there."""
    layout = await laid_out(body, frozenset({"data"}))
    if layout is None or "data" not in layout.elements:
        return body
    elements = layout.elements["data"]
    entries = [read_object(body, span) or {} for span in elements]
    known = {entry.get("id") for entry in entries}
    ours = [
        written({"id": name, "object": "model", "created": 0, "owned_by": _OWNER})
        for name in names
        if name not in known
    ]
    if not ours:
        return body
    place = elements[-1][1] if elements else layout.members["data"][0] + 1
    return b"".join(edited(body, [(place, place, (b"," if elements else b"") + b",".join(ours))]))
