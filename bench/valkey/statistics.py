"""The statistics of a user beside one bare HMGET."""

from __future__ import annotations

from typing import Any

from bench.claims import Claim
from bench.valkey.data import Corpus
from bench.valkey.searches import fill, questions
from bench.valkey.server import PREFIX, bare_client, own_server, store_on
from bench.valkey.settings import Settings
from bench.valkey.timing import Work, figures, in_turn, ratio
from router_memory.backends.valkey.keys import Keys

__all__ = ["measure"]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Statistics, an HMGET of the same fields, and a GET of nothing."""
    corpus = Corpus(settings.seed)
    with own_server() as server:
        async with store_on(server) as store, bare_client(server) as bare:
            users = fill(server, corpus, settings, 0, settings.sizes[0] // settings.memories_per_user)
            asked = await questions(server, corpus, settings, users)
            fields = ("epoch", "user", "documents", "length")

            async def statistics(number: int) -> None:
                query = asked[number % len(asked)].query
                await store.statistics(query.scope, query.stems)

            async def hmget(number: int) -> None:
                query = asked[number % len(asked)].query
                stems = (f"df:{stem}" for stem in query.stems)
                await bare.command("HMGET", Keys.of(PREFIX, query.scope).meta, *fields, *stems)

            async def get(number: int) -> None:
                await bare.command("GET", "nothing")

            works: dict[str, Work] = {"statistics": statistics, "hmget": hmget, "get": get}
            timed = await in_turn(works, settings.search_rounds, warmup=200)
    value = ratio(timed["statistics"], timed["hmget"])
    document = {name: figures(seconds) for name, seconds in timed.items()} | {"ratio": value}
    return document, [Claim("statistics, p50 / one bare HMGET", value)]
