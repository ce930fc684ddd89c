"""`MemoryPlugin`: what a router calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from router_memory import arguments
from router_memory.memory.memories import Memories
from router_memory.memory.moving import Moving
from router_memory.memory.state import State
from router_memory.plugin.plugin import unserved
from router_memory.plugin.request import Request
from router_memory.plugin.writes import Receipt
from router_memory.types import Message, Outcome, WriteResult, WriteStatus
from router_memory.wiring import Assembly, assemble

if TYPE_CHECKING:
    from router_memory.config import Config

__all__ = ["MemoryPlugin"]


class MemoryPlugin(Memories, Moving, State):
    """Memory for chat requests, and the memories themselves.

        async with MemoryPlugin.open("config/config.yaml") as memory:
            outcome = await memory.on_request(decision="personalized_route", user_id="u1", messages=messages)
            reply = await your_model(outcome.messages)
            await memory.on_response(outcome, reply)

    One event loop owns an instance. `on_request` and `on_response` raise nothing; every other method
    raises the typed errors of `router_memory.errors`.
    """

    def __init__(self, assembly: Assembly, *, warm: bool = True) -> None:
        super().__init__(assembly)
        self._warm = warm

    @classmethod
    def open(cls, config: str | Path | Mapping[str, Any] | Config | None = None, *, warm: bool = True) -> MemoryPlugin:
        """An instance for this configuration, to be entered with ``async with``.

        Args:
            config: Path of a YAML file, its content as a mapping, one that was loaded, or ``None`` for the defaults.
            warm: Whether entering loads the model; without it the first text to embed does, which
                suits listing and deleting.

        Raises:
            ConfigError: The configuration is wrong. Nothing was opened.
        """
        return cls(assemble(config), warm=warm)

    async def __aenter__(self) -> Self:
        """Opens the store and, unless told not to, loads the model.

        Raises:
            EmbeddingError, BackendError, MissingExtra: See `Embedder.open` and `MemoryStore.open`.
        """
        await self._parts.open(warm=self._warm)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Writes what is queued, for at most ``write.drain_seconds``, and releases everything. Idempotent."""
        await self._parts.close()

    async def on_request(
        self,
        *,
        decision: str | None,
        messages: Sequence[Message],
        user_id: str | None = None,
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        model: str | None = None,
        project: str | None = None,
        conversation_id: str | None = None,
        now: datetime | None = None,
    ) -> Outcome:
        """Injects the memories that matter for this request.

        Args:
            decision: The route the router chose; ``None`` for none.
            messages: OpenAI chat messages. They are never changed.
            user_id: The verified user; it wins over the configured user header, which ``None`` reads.
            headers: The request's HTTP headers, as a mapping or as pairs.
            model: The model the client named. A model without a decision is a passthrough: no memory.
            project: Narrows the user's memories to one project.
            conversation_id: Groups turns; without one it is derived from the first user message.
            now: When the request was made; naive times count as UTC, anything but a time as now.

        Returns:
            The messages to send on, with a status and a reason. Raises nothing.
        """
        request = Request(
            decision=decision,
            user_id=user_id,
            messages=messages,
            headers={} if headers is None else headers,
            model=model,
            project=project,
            conversation_id=conversation_id,
            now=arguments.moment_or_now(now),
        )
        return await self._parts.plugin.on_request(request) if self._parts.opened else unserved(request)

    async def on_response(self, outcome: Outcome, reply: str | Message | None) -> Receipt:
        """Queues the turn to be stored and returns at once.

        Args:
            outcome: What `on_request` gave for the request.
            reply: The reply's text, message or chat completion; ``None`` stores the request's part alone.

        Returns:
            A receipt whose `wait` gives what became of each message. Raises nothing.
        """
        if not hasattr(self._parts, "plugin"):
            return Receipt([WriteResult(WriteStatus.REJECTED, "closed")])
        return self._parts.plugin.on_response(outcome, reply)

    async def drain(self) -> None:
        """Waits until every turn accepted so far is stored."""
        await self._ready("drain").plugin.drain()
