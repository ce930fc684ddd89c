"""A day of agents, replayed without the cache and with it, step by step beside each other.

Every event is given to each side before the next one, so that noise of the machine falls on all alike. The turns of a
side are stored before its next event, as they would be in the minutes between. Several processes are several plugins in
this one: they share the model, the store and level 2, and nothing else.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.cache.day import Ask, Day, Event, Forget, Reply, make_day
from bench.cache.room import Opened, Room, opened_room
from bench.cache.settings import Settings
from bench.cache.timing import p50, p95
from bench.claims import Claim
from bench.valkey.timing import settle_garbage
from router_memory import Scope, Status
from router_memory.types import CacheLevel

if TYPE_CHECKING:
    from router_memory import Outcome

__all__ = ["measure"]

_OFF = "without"
_ASKED_STORE = (CacheLevel.OFF, CacheLevel.MISS)
_REPLAY_SEED = 1


@dataclass(slots=True)
class _Side:
    """One way of serving the day.

    Attributes:
        processes: What serves it.
        balancer: Chooses the process that serves a request.
        seconds: Of each request.
        levels: How often each level of the cache answered.
        shown: The memories that each request got.
        last: The outcome with which a turn will be stored, and who gave it, by session.
    """

    processes: list[Opened]
    balancer: random.Random = field(default_factory=lambda: random.Random(_REPLAY_SEED))
    seconds: list[float] = field(default_factory=list)
    levels: Counter[CacheLevel] = field(default_factory=Counter)
    shown: list[tuple[str, ...]] = field(default_factory=list)
    last: dict[int, tuple[Opened, Outcome]] = field(default_factory=dict)

    async def serve(self, event: Event) -> None:
        """Lets an event happen."""
        if isinstance(event, Ask):
            served = [self.balancer.choice(self.processes) for _ in event.decisions]
            outcomes = await asyncio.gather(
                *(self._asked(opened, event, name) for opened, name in zip(served, event.decisions, strict=True))
            )
            for outcome in outcomes:
                self._note(outcome)
            self.last[event.session] = served[0], outcomes[0]
        elif isinstance(event, Reply):
            opened, outcome = self.last.pop(event.session)
            receipt = await opened.plugin.on_response(outcome, event.text)
            await receipt.wait()
        elif isinstance(event, Forget):
            plugin, scope = self.balancer.choice(self.processes).plugin, Scope(event.user_id)
            page = await plugin.list(scope, limit=1)
            await plugin.forget(scope, *(record.id for record in page.records))

    async def _asked(self, opened: Opened, event: Ask, decision: str) -> Outcome:
        began = perf_counter()
        outcome = await opened.plugin.on_request(
            decision=decision,
            user_id=event.user_id,
            messages=event.messages,
            conversation_id=event.conversation_id,
            now=event.moment,
        )
        self.seconds.append(perf_counter() - began)
        return outcome

    def _note(self, outcome: Outcome) -> None:
        found = outcome.explain.recollection
        if outcome.status is Status.UNAVAILABLE or found is None:
            raise RuntimeError(f"{outcome.reason}: {outcome.explain.error}")
        self.levels[found.cache] += 1
        self.shown.append(tuple(hit.record.id for hit in outcome.memories))

    def figures(self, off: _Side) -> dict[str, Any]:
        """What came of it, beside the side without a cache."""
        requests = len(self.seconds)
        seconds, beside = np.array(self.seconds), np.array(off.seconds)
        embedded, embedded_off = (sum(one.embedder.queries for one in side.processes) for side in (self, off))
        searched, searched_off = (sum(side.levels[level] for level in _ASKED_STORE) for side in (self, off))
        events: Counter[str] = Counter()
        for opened in self.processes:
            events.update({name: n for name, n in opened.parts.counters.items() if name.startswith("cache.")})
        return {
            "processes": len(self.processes),
            "requests": requests,
            "level_1": round(self.levels[CacheLevel.LOCAL] / requests, 4),
            "level_2": round(self.levels[CacheLevel.SHARED] / requests, 4),
            "joined": round(self.levels[CacheLevel.JOINED] / requests, 4),
            "mean_ms": round(float(seconds.mean()) * 1e3, 3),
            "p50_ms": round(p50(seconds) / 1e3, 3),
            "p95_ms": round(p95(seconds) / 1e3, 3),
            "mean_ratio": round(float(seconds.mean() / beside.mean()), 4),
            "embeddings": embedded,
            "embeddings_saved": embedded_off - embedded,
            "embeddings_saved_share": round(1.0 - embedded / embedded_off, 4),
            "searches": searched,
            "searches_saved": searched_off - searched,
            "searches_saved_share": round(1.0 - searched / searched_off, 4),
            "answers_that_differ": sum(one != other for one, other in zip(self.shown, off.shown, strict=True)),
            "counters": dict(sorted(events.items())),
        }


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """The day on every store."""
    day = make_day(requests=settings.requests, users=settings.users, history=settings.history, seed=settings.seed)
    document: dict[str, Any] = {"day": _described(day)}
    claims: list[Claim] = []
    async with opened_room() as room:
        for backend in [place.backend for place in room.places("trace")]:
            figures = document[backend] = await _replayed(room, backend, day, settings.replicas)
            print(_table(backend, figures), flush=True)
            for name, one in figures.items():
                if name != _OFF:
                    hits = one["level_1"] + one["level_2"] + one["joined"]
                    claims += [
                        Claim(f"{backend}, {name}: requests answered by the cache", round(hits, 4)),
                        Claim(f"{backend}, {name}: embeddings saved", one["embeddings_saved_share"]),
                        Claim(f"{backend}, {name}: mean latency / without", one["mean_ratio"]),
                    ]
    return document, claims


async def _replayed(room: Room, backend: str, day: Day, replicas: int) -> dict[str, Any]:
    kinds: dict[str, tuple[int, dict[str, Any] | None]] = {
        _OFF: (1, None),
        "level 1 alone": (1, {"enabled": True}),
        "both levels": (1, room.shared(f"trace-{backend}-1:")),
        f"both levels, {replicas} processes": (replicas, room.shared(f"trace-{backend}-{replicas}:")),
    }
    async with AsyncExitStack() as stack:
        sides: dict[str, _Side] = {}
        for number, (name, (count, section)) in enumerate(kinds.items()):
            place = next(place for place in room.places(f"trace{number}") if place.backend == backend)
            sides[name] = _Side([await stack.enter_async_context(room.plugin(place, section)) for _ in range(count)])
            await _remember(sides[name], day)
        settle_garbage()
        order = list(sides.values())
        for event in day.events:
            for side in order:
                await side.serve(event)
            order.append(order.pop(0))  # who begins changes
        for side in order:
            for opened in side.processes:
                await opened.plugin.drain()
        return {name: side.figures(sides[_OFF]) for name, side in sides.items()}


async def _remember(side: _Side, day: Day) -> None:
    for user, history in enumerate(day.histories):
        for session in history:
            scope = Scope(Event(at=0.0, user=user, session=0, turn=0).user_id)
            await side.processes[0].plugin.remember(scope, session.id, session.turns)


def _described(day: Day) -> dict[str, int]:
    asked = [event for event in day.events if isinstance(event, Ask)]
    return {
        "requests": day.requests,
        "users_with_requests": len({event.user for event in asked}),
        "memories_before": sum(len(session.turns) for history in day.histories for session in history),
        "sessions": len({event.session for event in asked}),
        "turns": sum(isinstance(event, Reply) for event in day.events),
        "sent_again": sum(event.again for event in asked),
        "to_several_decisions": sum(len(event.decisions) > 1 for event in asked),
        "forgets": sum(isinstance(event, Forget) for event in day.events),
    }


def _table(backend: str, figures: dict[str, Any]) -> str:
    """As it may stand in the documentation."""
    lines = [
        f"\n| {backend} | level 1 | level 2 | joined | mean | p95 | embeddings | saved | searches | saved |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in figures.items():
        shares = " | ".join(f"{one[level]:.1%}" for level in ("level_1", "level_2", "joined"))
        saved = " | ".join(f"{one[what]:,} | {one[f'{what}_saved_share']:.0%}" for what in ("embeddings", "searches"))
        lines.append(f"| {name} | {shares} | {one['mean_ms']:.2f} ms | {one['p95_ms']:.2f} ms | {saved} |")
    return "\n".join(lines)
