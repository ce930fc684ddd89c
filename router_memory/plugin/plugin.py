"""The plugin: what happens to a chat request and to its reply. It never fails a chat."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from router_memory.errors import BackendError, RouterMemoryError
from router_memory.pipeline.inject import TOKEN_COUNTER, count_tokens, inject, render
from router_memory.pipeline.messages import new_turns, reply_message, reply_turn
from router_memory.pipeline.recall import Recall
from router_memory.pipeline.retrieval import Overloaded
from router_memory.plugin.access import AccessTracker
from router_memory.plugin.describe import describe
from router_memory.plugin.request import Access, Gated, Request, gate
from router_memory.plugin.writes import Receipt, WriteQueue
from router_memory.types import (
    DecisionPolicy,
    Explain,
    Hit,
    Message,
    Outcome,
    Reason,
    Recollection,
    Scope,
    Status,
    Turn,
    WriteIntent,
    WritePolicy,
    WriteResult,
    WriteStatus,
)

__all__ = ["Plugin", "PolicyOf", "unserved"]

_log = logging.getLogger("router_memory.plugin")

LEAST_FLUSH_SECONDS = 0.5
"""What closing grants the access counts, however long the turns took."""

PolicyOf = Callable[[str | None], tuple[DecisionPolicy, bool]]
"""Gives the policy of a decision and whether the configuration knows that decision."""


class Plugin:
    """Reads memories for requests and queues their turns to be stored.

    Args:
        policy_of: The policy of each decision.
        access: Who may use memory.
        recall: Finds memories.
        writes: Stores turns.
        tracker: Counts what was injected.
        write_policy: What is worth storing.
        deadline_seconds: Most that memory may add to a request.
        counters: Outcomes by ``request.<status>.<reason>`` and unknown decisions.
    """

    def __init__(
        self,
        *,
        policy_of: PolicyOf,
        access: Access,
        recall: Recall,
        writes: WriteQueue,
        tracker: AccessTracker,
        write_policy: WritePolicy,
        deadline_seconds: float,
        counters: Counter[str],
    ) -> None:
        self._policy_of = policy_of
        self._access = access
        self._recall = recall
        self._writes = writes
        self._tracker = tracker
        self._write_policy = write_policy
        self._deadline = deadline_seconds
        self._counters = counters
        self._described: dict[str | None, Mapping[str, Any]] = {}
        self._closed = False

    async def on_request(self, request: Request) -> Outcome:
        """The request's messages with the memories that matter for its decision.

        Always gives the caller's messages back; a failure or a passed deadline is a status and a
        reason in the outcome.
        """
        visit = _Visit(request)
        gated = Gated(Status.UNAVAILABLE, Reason.RETRIEVAL_ERROR, Reason.RETRIEVAL_ERROR)
        try:
            policy, visit.known = self._policy_of(request.decision)
            visit.policy, visit.described = policy, self._describe(policy)
            self._counters["decision.unknown"] += not visit.known
            gated = gate(request, policy, self._access)
            visit.intent = self._intent(request, gated)
            outcome = await self._serve(visit, gated)
        except Exception as error:  # noqa: BLE001 - whatever fails here must not fail the chat
            _log.exception("memory failed for a request")
            outcome = visit.outcome(gated, Status.UNAVAILABLE, Reason.RETRIEVAL_ERROR, error=type(error).__name__)
        self._counters[f"request.{outcome.status}.{outcome.reason}"] += 1
        return outcome

    def on_response(self, outcome: Outcome | None, reply: str | Message | None) -> Receipt:
        """Queues the request's new messages and its reply to be stored. Never waits, never raises.

        Args:
            outcome: What `on_request` gave for the request; anything else stores nothing.
            reply: The model's text, its message, or its chat completion in the OpenAI form; ``None`` stores the
                request's part alone. Of anything else the receipt says ``skipped``, ``reply_malformed``.
        """
        if not isinstance(outcome, Outcome):
            return self._skipped("no_outcome")
        intent = outcome.intent
        if intent.refused is not None or outcome.scope is None or outcome.conversation_id is None:
            return self._skipped(intent.refused or Reason.USER_ID_MISSING)
        malformed, answer = self._answer(intent, reply)
        turns = [*intent.turns, *answer]
        if not turns:
            return self._skipped("reply_malformed" if malformed else "nothing_new")
        return self._writes.submit(
            outcome.scope, outcome.conversation_id, turns, skipped=("reply_malformed",) if malformed else ()
        )

    async def drain(self) -> None:
        """Waits until all accepted turns are stored and all accesses are counted."""
        await self._writes.drain()
        await self._tracker.flush()

    async def settle(self, scope: Scope) -> None:
        """Waits until the turns accepted so far for a user are stored."""
        await self._writes.drain(scope.user_id)

    async def close(self, seconds: float) -> None:
        """Serves no more memories and writes what is waiting, for at most about `seconds`."""
        self._closed = True
        began = time.perf_counter()
        try:
            await self._writes.close(seconds)
        finally:
            await self._tracker.close(max(LEAST_FLUSH_SECONDS, seconds - (time.perf_counter() - began)))

    @property
    def queue_depth(self) -> int:
        """Number of turns accepted and not yet written."""
        return len(self._writes)

    async def _serve(self, visit: _Visit, gated: Gated) -> Outcome:
        if gated.status is not None and gated.reason is not None:
            return visit.outcome(gated, gated.status, gated.reason)
        if self._closed or gated.scope is None:
            return visit.outcome(gated, Status.UNAVAILABLE, Reason.CLOSED)
        until = visit.began + self._deadline
        try:
            async with asyncio.timeout(until - time.perf_counter()):
                found = await self._recall.recollect(
                    gated.scope,
                    gated.query,
                    visit.policy.recall,
                    reflection=visit.policy.reflection,
                    visible=visit.request.messages,
                    now=visit.request.now,
                    until=until,
                )
        except Overloaded as error:
            return visit.outcome(gated, Status.UNAVAILABLE, Reason.OVERLOADED, error=str(error))
        except TimeoutError:
            late = f"over {self._deadline * 1000:.0f} ms"
            return visit.outcome(gated, Status.UNAVAILABLE, Reason.TIMEOUT, error=late)
        except BackendError as error:
            return visit.outcome(gated, Status.UNAVAILABLE, Reason.STORE_UNAVAILABLE, error=_named(error))
        except RouterMemoryError as error:
            return visit.outcome(gated, Status.UNAVAILABLE, Reason.RETRIEVAL_ERROR, error=_named(error))
        return self._injected(visit, gated, gated.scope, found)

    def _injected(self, visit: _Visit, gated: Gated, scope: Scope, found: Recollection) -> Outcome:
        if not found.hits:
            reason = Reason.FILTERED if found.dropped else Reason.NO_RESULTS
            return visit.outcome(gated, Status.MISSING, reason, found=found)
        began = time.perf_counter()
        try:
            block = render(found.hits)
            messages = inject(visit.request.messages, block, role=visit.policy.inject.role) if block else []
        except Exception as error:  # noqa: BLE001 - whatever fails here must not fail the chat
            _log.exception("injecting memories failed")
            return visit.outcome(
                gated, Status.UNAVAILABLE, Reason.INJECTION_ERROR, found=found, error=type(error).__name__
            )
        if not block:
            return visit.outcome(gated, Status.MISSING, Reason.EMPTY_CONTEXT, found=found)
        visit.seconds["inject"] = time.perf_counter() - began
        visit.starts["inject"] = began
        self._tracker.record(scope, (hit.record.id for hit in found.hits), visit.request.now)
        return visit.outcome(
            gated, Status.USED, Reason.INJECTED, found=found, messages=messages, hits=found.hits, block=block
        )

    def _intent(self, request: Request, gated: Gated) -> WriteIntent:
        if gated.refused is not None or gated.scope is None:
            return WriteIntent(gated.refused or Reason.USER_ID_MISSING)
        policy = self._write_policy
        turns = new_turns(request.messages, roles=policy.roles, now=request.now, history=policy.history)
        return WriteIntent(None, turns, tuple(request.messages), request.now)

    def _answer(self, intent: WriteIntent, reply: object) -> tuple[bool, list[Turn]]:
        """Whether the reply cannot be read, and the turn it is."""
        if reply is None or intent.now is None or "assistant" not in self._write_policy.roles:
            return False, []
        try:
            message = reply_message(reply)
            if message is None:
                return True, []
            answer = reply_turn(message, earlier=intent.messages, now=intent.now)
        except Exception:  # noqa: BLE001 - a reply nobody can read must not fail the chat
            _log.exception("a reply could not be read")
            return True, []
        return False, [] if answer is None else [answer]

    def _skipped(self, reason: str) -> Receipt:
        self._counters["write.skipped"] += 1
        return Receipt([WriteResult(WriteStatus.SKIPPED, str(reason))])

    def _describe(self, policy: DecisionPolicy) -> Mapping[str, Any]:
        described = self._described.get(policy.decision)
        if described is None:
            described = self._described[policy.decision] = describe(policy)
        return described


class _Visit:
    """One request on its way: collects what its outcome will say."""

    __slots__ = ("began", "described", "intent", "known", "policy", "request", "seconds", "starts")

    def __init__(self, request: Request) -> None:
        self.began = time.perf_counter()
        self.request = request
        self.policy = DecisionPolicy()
        self.known = False
        self.described: Mapping[str, Any] = {}
        self.intent = WriteIntent(Reason.CLOSED)
        self.seconds: dict[str, float] = {}
        self.starts: dict[str, float] = {"total": self.began}

    def outcome(
        self,
        gated: Gated,
        status: Status,
        reason: Reason,
        *,
        found: Recollection | None = None,
        messages: Iterable[Message] | None = None,
        hits: tuple[Hit, ...] = (),
        block: str = "",
        error: str = "",
    ) -> Outcome:
        """The outcome of this request; without `messages` it goes on as it came."""
        seconds = {**(found.seconds if found else {}), **self.seconds, "total": time.perf_counter() - self.began}
        explain = Explain(
            decision=self.request.decision,
            known=self.known,
            policy=self.described,
            query=gated.query,
            recollection=found,
            injected_tokens=count_tokens(block) if block else 0,
            token_counter=TOKEN_COUNTER,
            error=error,
            seconds=seconds,
            starts={**(found.starts if found else {}), **self.starts},
        )
        return Outcome(
            messages=self.request.messages if messages is None else list(messages),
            memories=hits,
            status=status,
            reason=reason,
            explain=explain,
            scope=gated.scope,
            conversation_id=gated.conversation_id,
            intent=self.intent,
        )


def unserved(request: Request) -> Outcome:
    """The outcome of a request that came while nothing was open: it goes on as it came."""
    gated = Gated(Status.UNAVAILABLE, Reason.CLOSED, Reason.CLOSED)
    return _Visit(request).outcome(gated, Status.UNAVAILABLE, Reason.CLOSED)


def _named(error: RouterMemoryError) -> str:
    return f"{type(error).__name__}: {error}"
