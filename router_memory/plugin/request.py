"""One request as the plugin sees it, and the gate it has to pass. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from router_memory.errors import InvalidRequest
from router_memory.pipeline.cleaning import clean, is_greeting
from router_memory.pipeline.messages import are_wellformed, first_user_text, last_user_text
from router_memory.types import DecisionPolicy, Message, Reason, Scope, Status, conversation_key

__all__ = ["Access", "Gated", "Request", "gate"]

_TRUE = frozenset({"true", "1", "yes", "on"})


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
        headers: HTTP headers; names are compared without case.
        model: The model the client named.
        project, conversation_id: Optional narrower owner and conversation.
        now: When the request was made, aware.
    """

    decision: str | None
    user_id: str | None
    messages: Sequence[Message]
    headers: Mapping[str, Any]
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
    """Whether a request may read memories and whether its turn may be stored. Raises nothing."""
    headers = {str(name).casefold(): value for name, value in request.headers.items()}
    blocked = _blocked(request, policy, access, headers)
    if blocked is not None:
        return Gated(*blocked, refused=blocked[1])
    try:
        scope = _scope(request, headers.get(access.user_header.casefold()))
        conversation = _conversation(request, scope) if scope else None
    except InvalidRequest:
        return Gated(Status.MISSING, Reason.USER_ID_INVALID, Reason.USER_ID_INVALID)
    if scope is None:
        return Gated(Status.MISSING, Reason.USER_ID_MISSING, Reason.USER_ID_MISSING)
    refused = None if policy.auto_store else Reason(policy.auto_store_by)
    query = last_user_text(request.messages)
    if not query or is_greeting(query):
        return Gated(Status.IGNORED, Reason.QUERY_INELIGIBLE, refused, scope, conversation, query)
    return Gated(None, None, refused, scope, conversation, query)


def _blocked(
    request: Request, policy: DecisionPolicy, access: Access, headers: Mapping[str, Any]
) -> tuple[Status, Reason] | None:
    if request.decision is None and request.model is not None:
        return Status.IGNORED, Reason.PASSTHROUGH
    if not policy.enabled:
        return Status.DISABLED, Reason(policy.enabled_by)
    if _text(headers.get(access.opt_out_header.casefold())).casefold() in _TRUE:
        return Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT
    path = _text(headers.get(":path")).partition("?")[0]
    if access.disabled_routes & {path, request.decision}:
        return Status.POLICY_BLOCKED, Reason.ROUTE_CONFIG
    if request.model in access.disabled_models:
        return Status.POLICY_BLOCKED, Reason.MODEL_CONFIG
    if not are_wellformed(request.messages):
        return Status.IGNORED, Reason.MESSAGES_MALFORMED
    return None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return value.strip() if isinstance(value, str) else ""


def _scope(request: Request, header: object) -> Scope | None:
    user = request.user_id if request.user_id is not None else (_text(header) or None)
    if user is None or (isinstance(user, str) and not user.strip()):
        return None
    return Scope(user, request.project)


def _conversation(request: Request, scope: Scope) -> str:
    if request.conversation_id:
        return clean(str(request.conversation_id)) or conversation_key(scope, "")
    return conversation_key(scope, first_user_text(request.messages))
