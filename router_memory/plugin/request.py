"""One request as the plugin sees it, and the gate it has to pass. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router_memory.errors import InvalidRequest
from router_memory.pipeline.cleaning import is_greeting
from router_memory.pipeline.messages import are_wellformed, first_user_text, last_user_text
from router_memory.plugin.headers import Headers
from router_memory.types import DecisionPolicy, Message, Reason, Scope, Status, check_id, conversation_key

__all__ = ["Access", "Gated", "Request", "gate"]

MAX_CONVERSATION_CHARS = 256
"""Longest conversation id kept as it is; of a longer one a digest is kept."""

_INVALID = {"project": Reason.PROJECT_INVALID, "conversation_id": Reason.CONVERSATION_ID_INVALID}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use memory, and how a request says who it is.

    Attributes:
        user_header: Header that carries the user id, set by the gateway.
        opt_out_header: Header that keeps memory away from a request when it is true.
        disabled_routes: Request paths or decision names without memory.
        disabled_models: Model names without memory.
    """

    user_header: str = "x-authz-user-id"
    opt_out_header: str = "x-disable-router-memory"
    disabled_routes: frozenset[str] = frozenset()
    disabled_models: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A chat request with the decision the router took for it.

    Attributes:
        decision: The route; ``None`` when the router took none.
        user_id: As the caller verified it; ``None`` leaves it to the user header.
        messages: OpenAI chat messages; anything else is passed through.
        headers: HTTP headers as a mapping or as pairs; names are compared without case.
        model: The model the client named.
        project, conversation_id: Optional narrower owner and conversation.
        now: When the request was made, aware.
    """

    decision: str | None
    user_id: str | None
    messages: Sequence[Message]
    headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]
    model: str | None
    project: str | None
    conversation_id: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Gated:
    """What the gate let through.

    Attributes:
        status, reason: Set where the request gets no memories; ``None`` where it may.
        refused: Why the turn is not to be stored; ``None`` where it is.
        scope, conversation_id: Set where the user is known.
        query: The user's text.
    """

    status: Status | None
    reason: Reason | None
    refused: Reason | None
    scope: Scope | None = None
    conversation_id: str | None = None
    query: str = ""


def gate(request: Request, policy: DecisionPolicy, access: Access) -> Gated:
    """Whether a request may read memories and whether its turn may be stored."""
    try:
        headers = Headers(request.headers)
    except InvalidRequest:
        return Gated(Status.IGNORED, Reason.HEADERS_MALFORMED, Reason.HEADERS_MALFORMED)
    blocked = _blocked(request, policy, access, headers)
    if blocked is not None:
        return Gated(*blocked, refused=blocked[1])
    try:
        scope = _scope(request, headers.one(access.user_header))
        conversation = _conversation(request, scope) if scope else None
    except InvalidRequest as error:
        reason = _INVALID.get(error.field, Reason.USER_ID_INVALID)
        return Gated(Status.MISSING, reason, reason)
    if scope is None:
        return Gated(Status.MISSING, Reason.USER_ID_MISSING, Reason.USER_ID_MISSING)
    refused = None if policy.auto_store else Reason(policy.auto_store_by)
    query = last_user_text(request.messages)
    if not query or is_greeting(query):
        return Gated(Status.IGNORED, Reason.QUERY_INELIGIBLE, refused, scope, conversation, query)
    return Gated(None, None, refused, scope, conversation, query)


def _blocked(
    request: Request, policy: DecisionPolicy, access: Access, headers: Headers
) -> tuple[Status, Reason] | None:
    if request.decision is None and request.model is not None:
        return Status.IGNORED, Reason.PASSTHROUGH
    if not policy.enabled:
        return Status.DISABLED, Reason(policy.enabled_by)
    if headers.is_set(access.opt_out_header):
        return Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT
    paths = {path.partition("?")[0] for path in headers.values(":path")}
    if access.disabled_routes & {*paths, request.decision}:
        return Status.POLICY_BLOCKED, Reason.ROUTE_CONFIG
    if request.model in access.disabled_models:
        return Status.POLICY_BLOCKED, Reason.MODEL_CONFIG
    if not are_wellformed(request.messages):
        return Status.IGNORED, Reason.MESSAGES_MALFORMED
    return None


def _scope(request: Request, header: str | None) -> Scope | None:
    user = request.user_id if request.user_id is not None else header
    if user is None or (isinstance(user, str) and not user.strip()):
        return None
    return Scope(user, request.project)


def _conversation(request: Request, scope: Scope) -> str:
    """The id as given, its digest where it is long, or one derived from the first user message."""
    given = request.conversation_id
    if given is None or given == "":
        return conversation_key(scope, first_user_text(request.messages))
    check_id(given, "conversation_id")
    return given if len(given) <= MAX_CONVERSATION_CHARS and "\x00" not in given else conversation_key(scope, given)
