"""A prompt with the user's memories in it, as a tool and as a prompt of the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from router_memory.errors import RouterMemoryError
from router_memory.interfaces.mcp.arguments import PromptWithMemories
from router_memory.interfaces.mcp.results import FoundMemory, Prompted
from router_memory.interfaces.mcp.tools import Tool, known_decision
from router_memory.types import Message, Reason, Status

if TYPE_CHECKING:
    from router_memory.interfaces.mcp.session import Session

__all__ = ["PROMPT", "PROMPT_NAME", "PROMPT_TOOL", "prompted", "shown"]

PROMPT_NAME = "prompt_with_memories"

PROMPT: Mapping[str, Any] = {
    "name": PROMPT_NAME,
    "title": "Prompt with memories",
    "description": "The prompt, with what is remembered about the user and matters for it put before it.",
    "arguments": [
        {"name": "prompt", "description": "What the user says.", "required": True},
        {
            "name": "decision",
            "description": "Name of the routing decision whose settings apply; without it, the general ones.",
            "required": False,
        },
    ],
}


async def prompted(session: Session, given: PromptWithMemories) -> Prompted:
    """The messages with memories in them. Memory that fails leaves them as they were.

    Raises:
        InvalidRequest: There is nothing to prompt with, or no such decision.
    """
    messages = given.conversation()
    try:
        memory = await session.memory()
    except RouterMemoryError:
        return _prompted(messages, Status.UNAVAILABLE, Reason.STORE_UNAVAILABLE)
    outcome = await memory.on_request(
        decision=known_decision(memory, given.decision),
        messages=messages,
        user_id=session.scope.user_id,
        project=session.scope.project,
    )
    if session.telemetry is not None:
        session.telemetry.request(outcome, interface="mcp")
    found = [FoundMemory.of_hit(hit) for hit in outcome.memories]
    return _prompted(outcome.messages, outcome.status, outcome.reason, found)


def shown(result: Prompted) -> dict[str, Any]:
    """The same as a prompt of the protocol, which knows the roles of user and assistant and no other."""
    return {
        "description": PROMPT["description"],
        "messages": [
            {
                "role": "assistant" if message.get("role") == "assistant" else "user",
                "content": {"type": "text", "text": str(message.get("content", ""))},
            }
            for message in result.messages
        ],
    }


def _prompted(
    messages: Sequence[Message], status: Status, reason: Reason, memories: Sequence[FoundMemory] = ()
) -> Prompted:
    return Prompted(
        messages=[dict(message) for message in messages],
        status=status.value,
        reason=reason.value,
        memories=list(memories),
    )


PROMPT_TOOL = Tool(
    title="Prompt with memories",
    description="Gives a prompt or a conversation back with the memories of the user that matter for it put in, ready "
    "to be sent to a model. Stores nothing. To read memories yourself use search_memories.",
    arguments=PromptWithMemories,
    result=Prompted,
    run=prompted,
    operation="prompt",
    reads=True,
)
