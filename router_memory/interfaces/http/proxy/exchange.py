"""One chat: from the client's request through memory to the upstream, and the answer back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from router_memory.errors import RouterMemoryError
from router_memory.identity import who_is_wanted
from router_memory.interfaces.http.context import caller_of, service_of
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.proxy.client import Departure, last_value, only_value, read_body
from router_memory.interfaces.http.proxy.failures import FAILURES, UpstreamFailed, answer_of
from router_memory.interfaces.http.proxy.forms import UNREAD, Form, Reading
from router_memory.interfaces.http.proxy.headers import of_memory, to_client, to_upstream
from router_memory.interfaces.http.proxy.replies import Collector, collector_for
from router_memory.interfaces.http.proxy.upstream import Answer, Upstream
from router_memory.interfaces.http.proxy.values import Edit, edited, written
from router_memory.types import Outcome, Reason

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from router_memory.config.service import ModelAlias
    from router_memory.identity import Caller
    from router_memory.service import Generation, Service

__all__ = ["ChatEndpoint", "admitted", "send_failure"]

_log = logging.getLogger("router_memory.proxy")

_NOTHING: Any = None
"""In place of messages nobody can read: memory says so, and the body goes on as it came."""


class ChatEndpoint:
    """An ASGI application that serves chats of one form.

    Args:
        form: Of its requests.
    """

    def __init__(self, form: Form) -> None:
        self._form = form

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request."""
        departure = Departure(receive)
        try:
            service = service_of(scope)
            with service.lease() as generation:
                caller = admitted(scope, generation)
                body = await read_body(receive)
                if body is not None:
                    departure.watch()
                    await _Exchange(service, generation, self._form, scope, send, departure).serve(caller, body)
        except (ApiError, RouterMemoryError) as error:
            departure.stop()
            await send_failure(send, error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not departure.noticed:
                raise
            task.uncancel()  # it was this request's own doing, and nobody is there to be answered
        finally:
            departure.stop()


def admitted(scope: MutableMapping[str, Any], generation: Generation) -> Caller:
    """Who is asking, if chats are open to them.

    Raises:
        NotAuthenticated: There is a credential, and it is not good.
        ApiError: 401 where nobody is named and the configuration wants a name.
    """
    caller = caller_of(scope, generation)
    if caller.user_id is None and not generation.config.service.auth.anonymous_chats:
        wanted = who_is_wanted(generation.config, caller)
        raise ApiError(401, "MISSING_USER_ID", wanted, headers={"www-authenticate": "Bearer"})
    return caller


async def send_failure(
    send: Send, error: ApiError | RouterMemoryError | UpstreamFailed, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answers with an error."""
    status, headers, body = answer_of(error)
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": body})


class _Exchange:
    """One chat on its way."""

    __slots__ = (
        "_began",
        "_departure",
        "_first_byte",
        "_form",
        "_generation",
        "_outcome",
        "_scope",
        "_send",
        "_service",
        "_stored",
    )

    def __init__(
        self,
        service: Service,
        generation: Generation,
        form: Form,
        scope: MutableMapping[str, Any],
        send: Send,
        departure: Departure,
    ) -> None:
        self._departure = departure
        self._service = service
        self._generation = generation
        self._form = form
        self._scope = scope
        self._send = send
        self._outcome: Outcome | None = None
        self._stored = False
        self._began = 0.0
        self._first_byte: float | None = None

    async def serve(self, caller: Caller, body: bytes) -> None:
        """Passes a request on with memory, and the answer back.

        Raises:
            ApiError: There is no upstream.
        """
        upstream = Upstream.of(self._service, self._generation)
        headers = self._scope["headers"]
        unpacked = not any(name == b"content-encoding" for name, _ in headers)
        reading = await self._form.read(body) if unpacked else UNREAD
        alias = upstream.models.get(reading.model or "")
        outcome = await self._remembered(upstream, caller, reading, alias)
        edits = self._injection(body, reading)
        if alias is not None and alias.upstream_model:
            edits.append((*reading.layout.members["model"], written(alias.upstream_model)))
        collecting = outcome is not None and outcome.intent.refused is None
        onward = to_upstream(
            headers,
            not_on=upstream.not_on,
            credential=caller.credential,
            api_key=upstream.api_key,
            collecting=collecting,
            traced=self._service.telemetry.trace_headers(),
        )
        await self._passed_on(upstream, onward, edited(body, edits) if edits else [body], collecting=collecting)

    async def _remembered(
        self, upstream: Upstream, caller: Caller, reading: Reading, alias: ModelAlias | None
    ) -> Outcome | None:
        """What memory has to say; whatever happens there, the chat goes on."""
        names, headers, config = upstream.names, self._scope["headers"], self._generation.config
        chosen = last_value(headers, names.decision) or (alias.decision if alias else "")
        decision = chosen or config.service.default_decision or None
        model = reading.model or ""
        passing = decision is None and (alias is None or model in config.disabled_models)
        try:
            self._outcome = await self._generation.memory.on_request(
                decision=decision,
                messages=_NOTHING if reading.messages is None else reading.messages,
                user_id=caller.user_id,
                # Of the headers only these: a user header that identity did not accept must not count here.
                headers=[(b":path", self._scope["path"]), *(pair for pair in headers if pair[0] == names.opt_out)],
                model=model if decision is not None or passing else None,  # an alias alone asks for the globals
                project=only_value(headers, names.project),
                conversation_id=only_value(headers, names.conversation) or reading.conversation_id,
            )
            self._service.telemetry.request(self._outcome, interface=self._form.interface)
        except Exception:  # noqa: BLE001 - memory never fails a chat
            _log.exception("memory failed for a request")
        return self._outcome

    def _injection(self, body: bytes, reading: Reading) -> list[Edit]:
        """How what memory added comes into the body."""
        outcome = self._outcome
        if outcome is None or outcome.reason is not Reason.INJECTED or reading.messages is None:
            return []
        at = next(
            (index for index, message in enumerate(reading.messages) if message is not outcome.messages[index]),
            len(reading.messages),
        )
        edit = self._form.insert(body, reading, outcome.messages[at], at)
        if edit is None:
            _log.warning("a request has no place for its memories")
            return []
        return [edit]

    async def _passed_on(
        self, upstream: Upstream, headers: list[tuple[bytes, bytes]], pieces: list[bytes], *, collecting: bool
    ) -> None:
        self._began = time.perf_counter()
        status = "cancelled"
        try:
            answer = await upstream.send("POST", self._form.path, headers, pieces, query=_query(self._scope))
            try:
                if await self._passed_back(answer, collecting=collecting):
                    status = str(answer.status)
                else:
                    status = "disconnected"
            finally:
                await answer.close()
        except UpstreamFailed as error:
            status = error.outcome
            _log.warning("a chat got no answer: %s", error.message)
            self._departure.stop()
            await send_failure(self._send, error, of_memory(self._outcome))
        finally:
            seconds = time.perf_counter() - self._began
            self._service.telemetry.upstream(status=status, seconds=seconds, first_byte=self._first_byte)

    async def _passed_back(self, answer: Answer, *, collecting: bool) -> bool:
        """Whether the answer went to the client as a whole.

        A turn is handed to memory before its last part goes to the client. One that the upstream broke off or that the
        client left is stored without its reply: the user did say what they said, and half a sentence can mean the
        opposite of the whole one. Where the upstream refused, there was no turn.
        """
        send = self._send
        answered = 200 <= answer.status < 300
        collector = self._collector(answer) if collecting and answered else None
        headers = [*to_client(answer.headers), *of_memory(self._outcome)]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        try:
            async for part in answer.parts():
                if self._first_byte is None:
                    self._first_byte = time.perf_counter() - self._began
                if collector is not None:
                    collector.feed(part)
                    if collector.complete and not self._stored:
                        await self._store(await collector.reply())
                await send({"type": "http.response.body", "body": part, "more_body": True})
            if answered:
                await self._store(await collector.reply() if collector is not None else None)
        except FAILURES as error:
            _log.warning("the upstream broke off an answer: %s", type(error).__name__)
            return False  # the response stays incomplete, so that the server breaks the client's connection too
        finally:
            if answered:
                await self._store(None)
        # To a server, a request that was answered counts as one whose client has gone. And from here on nobody may
        # cancel: a connection would be lost to the pool that is being given back.
        self._departure.stop()
        await answer.close()
        await send({"type": "http.response.body", "body": b""})
        return True

    def _collector(self, answer: Answer) -> Collector | None:
        if answer.header(b"content-encoding") not in (b"", b"identity"):
            return None
        length = answer.header(b"content-length")
        policy = self._generation.config.write_policy
        return collector_for(
            self._form.interface,
            answer.header(b"content-type"),
            length=int(length) if length.isdigit() else None,
            most_text=policy.max_content_bytes * policy.max_parts,
        )

    async def _store(self, reply: Any) -> None:
        """Hands the turn to memory, once."""
        if self._stored or self._outcome is None:
            return
        self._stored = True
        try:
            receipt = await self._generation.memory.on_response(self._outcome, reply)
            self._service.telemetry.receipt(receipt)
        except Exception:  # noqa: BLE001 - memory never fails a chat
            _log.exception("memory failed for a reply")


def _query(scope: MutableMapping[str, Any]) -> bytes:
    """The request's query, without the user that development mode reads from it."""
    query: bytes = scope.get("query_string", b"")
    if not query:
        return b""
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"user_id="))
