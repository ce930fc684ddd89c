"""What the tools take. The descriptions are written for the model that calls them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router_memory.errors import InvalidRequest

__all__ = [
    "MAX_MEMORIES",
    "AddMemory",
    "Arguments",
    "ForgetMemories",
    "GetMemory",
    "ListMemories",
    "PromptWithMemories",
    "SearchMemories",
    "UpdateMemory",
    "checked",
]

MAX_MEMORIES = 100
"""Most memories one call returns: they end in the context of a model."""

Kind = Literal["semantic", "procedural", "episodic"]
"""The values of `MemoryType`, as pydantic puts them into a schema."""

_KINDS = "semantic (a fact or preference), procedural (how something is done), episodic (something that happened)"
Types = Annotated[list[Kind], Field(description="Only memories of these types; none means all.")]
Id = Annotated[str, Field(min_length=1, description="The id of a memory, as the other tools give it.")]
Share = Annotated[float, Field(ge=0, le=1)]
Decision = Annotated[
    str | None, Field(description="Name of the routing decision whose settings apply; without it, the general ones.")
]


class Arguments(BaseModel):
    """Base of all: what is not known is refused, or a model would never learn that it has no effect."""

    model_config = ConfigDict(extra="forbid")


class AddMemory(Arguments):
    """Of `add_memory`."""

    content: Annotated[
        str, Field(description="What to remember: one fact or event that can be understood without the conversation.")
    ]
    type: Annotated[Kind, Field(description=f"What kind of knowledge it is: {_KINDS}.")] = "semantic"
    importance: Annotated[Share, Field(description="From 0 to 1.")] = 0.5
    speaker: Annotated[str | None, Field(description="Who said it, if it is a quotation.")] = None


class SearchMemories(Arguments):
    """Of `search_memories`."""

    query: Annotated[str, Field(description="What to look for, in plain words; a whole question is fine.")]
    limit: Annotated[
        int | None, Field(ge=1, le=MAX_MEMORIES, description="Most memories to return; without it, as configured.")
    ] = None
    threshold: Annotated[
        Share | None,
        Field(description="Least similarity, from 0 to 1; 0 returns the best ones, relevant or not."),
    ] = None
    types: Types = []
    decision: Decision = None


class ListMemories(Arguments):
    """Of `list_memories`."""

    types: Types = []
    limit: Annotated[int, Field(ge=1, le=MAX_MEMORIES, description="Memories on a page.")] = 20
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before, to go on behind it.")] = None


class GetMemory(Arguments):
    """Of `get_memory`."""

    id: Id


class UpdateMemory(Arguments):
    """Of `update_memory`."""

    id: Id
    content: Annotated[str | None, Field(description="The new text, in place of the whole old one.")] = None
    type: Annotated[Kind | None, Field(description=f"The new type: {_KINDS}.")] = None
    importance: Annotated[Share | None, Field(description="The new importance, from 0 to 1.")] = None


class ForgetMemories(Arguments):
    """Of `forget_memories`. There is no call that deletes everything by leaving something out."""

    ids: Annotated[
        list[Id], Field(max_length=1000, description="Delete these; goes with none of the other arguments.")
    ] = []
    types: Annotated[list[Kind], Field(description="Delete all memories of these types.")] = []
    older_than: Annotated[
        datetime | None, Field(description="Delete all memories created before this time, in ISO 8601.")
    ] = None
    everything: Annotated[
        bool, Field(description="Delete all memories of the user. Goes with none of the other arguments.")
    ] = False

    def check(self) -> None:
        """That it says what to delete, in one way.

        Raises:
            InvalidRequest: Nothing is named, or more than one way.
        """
        ways = bool(self.ids) + bool(self.types or self.older_than) + self.everything
        if ways != 1:
            said = "nothing" if not ways else "more than one of them"
            raise InvalidRequest(
                f"say what to forget by ids, by types and older_than, or by everything; this call says {said}"
            )


class PromptWithMemories(Arguments):
    """Of `prompt_with_memories`."""

    prompt: Annotated[str | None, Field(description="What the user says, as one message.")] = None
    messages: Annotated[
        list[dict[str, Any]] | None,
        Field(description="Or a conversation: chat messages in the OpenAI form, the user's last one at the end."),
    ] = None
    decision: Decision = None

    def conversation(self) -> list[dict[str, Any]]:
        """The messages.

        Raises:
            InvalidRequest: Neither or both of `prompt` and `messages` are given.
        """
        if (self.prompt is None) == (self.messages is None):
            raise InvalidRequest("give either prompt or messages")
        return self.messages if self.messages is not None else [{"role": "user", "content": self.prompt}]


_A = TypeVar("_A", bound=Arguments)


def checked(model: type[_A], values: object) -> _A:
    """The arguments as the tool takes them.

    Raises:
        InvalidRequest: They do not fit; the message names the first that does not, without its value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        hint = f"the arguments are {', '.join(model.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise InvalidRequest(
            f"{field}: {_lower(first['msg'])}" if field else first["msg"], field=field, hint=hint
        ) from None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
