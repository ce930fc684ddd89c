"""`cache stats` and `cache clear`: the hot cache as it can be seen and emptied from outside a process."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from router_memory.cli import options as opt
from router_memory.cli import views
from router_memory.cli.output import console, emit_json, one_line
from router_memory.errors import InvalidRequest, RouterMemoryError
from router_memory.plugin.describe import describe
from router_memory.types import Scope, several, size_text

if TYPE_CHECKING:
    from router_memory.config import Config
    from router_memory.config.servers import RedisCacheSection
    from router_memory.types import CacheServerStats

__all__ = ["clear", "stats"]


def stats(config: opt.Config = None, as_json: opt.Json = False) -> None:
    """Shows what the hot cache's server holds, over all users, and how the cache is configured.

    Opens neither store nor model. What a process keeps by itself, level 1, is seen in that process alone, by
    MemoryPlugin.cache_stats().
    """
    from router_memory.wiring import assemble

    parts = assemble(config)
    held = asyncio.run(parts.cache_server_stats())
    if as_json:
        emit_json(_described(parts.config, held))
    elif held is None:
        console().print(_alone(parts.config.memory.redis_cache))
    else:
        console().print(views.grid(_facts(parts.config.memory.redis_cache, held)))
        console().print(Text("level 1 and its hits: MemoryPlugin.cache_stats() in the process itself", style="dim"))


def clear(
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="Only what is cached of this user. Compared exactly.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Without --user: do not ask.")] = False,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Empties the hot cache's server: all of it, or one user's part. Memories stay as they are.

    All of it is asked about first; where no terminal can answer, it wants --yes. Level 1 of running processes ends
    with its time to live; it never answers with what is out of date.
    """
    from router_memory.wiring import assemble

    scope = None if user is None else Scope(user)
    parts = assemble(config)
    cache = parts.config.memory.redis_cache
    location = _location(cache)
    if location is not None and scope is None and not yes:
        _ask(location, cache.key_prefix)
    keys = asyncio.run(parts.clear_cache(scope))
    if as_json:
        emit_json({"server": location, "user": user, "keys": keys if location is not None and scope is None else None})
    elif location is None:
        console().print(f"nothing to clear: {_alone(cache)}")
    else:
        what = several(keys, "key", "keys") if scope is None else f"the answers of {one_line(scope.user_id)}"
        console().print(f"cleared {what} on {location}")
        console().print(Text(_rest(cache, everything=scope is None), style="dim"))


def _location(cache: RedisCacheSection) -> str | None:
    """Where level 2 is; ``None`` without one."""
    return f"{cache.address}/{cache.db}" if cache.enabled and cache.server else None


def _described(config: Config, held: CacheServerStats | None) -> dict[str, Any]:
    """The same keys whatever is configured."""
    cache = config.memory.redis_cache
    bounded = cache.coherence == "bounded"
    return {
        "file": config.file,
        "enabled": cache.enabled,
        "coherence": cache.coherence,
        "epoch_max_age_ms": cache.epoch_max_age_ms if bounded else 0,
        "ttl_seconds": cache.ttl_seconds,
        "embedding_ttl_seconds": cache.embedding_ttl_seconds,
        "local_mb": cache.local_mb,
        "local_entries": cache.local_entries,
        "server": describe(held),
    }


def _alone(cache: RedisCacheSection) -> str:
    """Why there is no server to look at."""
    if not cache.enabled:
        return "the hot cache is off (redis_cache.enabled: false)"
    seen = "MemoryPlugin.cache_stats() shows it in each process"
    return f"the hot cache has level 1 alone (redis_cache.address is empty): {seen}"


def _facts(cache: RedisCacheSection, held: CacheServerStats) -> dict[str, str]:
    used = size_text(held.used_bytes)
    room = f"{used} of {size_text(held.limit_bytes)}" if held.limit_bytes else f"{used}, no maxmemory"
    vectors = _seconds(cache.embedding_ttl_seconds) if cache.embedding_ttl_seconds else "not kept"
    facts = {
        "server": f"{held.location}, {held.version}",
        "answers": f"{held.entries:,} of {several(held.users, 'user', 'users')}",
        "query vectors": f"{held.vectors:,}",
        "size": size_text(held.bytes),
        "server memory": f"{room}, policy {held.policy}",
        "server's keys": f"{held.evicted:,} evicted, {held.expired:,} expired since it started",
        "round trip": f"{held.round_trip * 1000:.2f} ms",
        "coherence": _coherence(cache),
        "time to live": f"answers {_seconds(cache.ttl_seconds)}, query vectors {vectors}",
        "level 1": "off",
    }
    if cache.local_mb:
        limit = several(cache.local_entries, "answer", "answers")
        facts["level 1"] = f"up to {cache.local_mb:,} MiB and {limit} in each process"
    return facts


def _coherence(cache: RedisCacheSection) -> str:
    if cache.coherence == "bounded":
        return f"bounded: another process's write may show {cache.epoch_max_age_ms:,} ms later"
    return "strict: every write shows at once"


def _seconds(count: int) -> str:
    return f"{count:,} s"


def _rest(cache: RedisCacheSection, *, everything: bool) -> str:
    """What is not cleared, and why that does no harm."""
    kept = []
    if cache.local_mb:
        kept.append(f"level 1 of running processes ends within {_seconds(cache.ttl_seconds)} and serves nothing stale")
    if not everything and cache.embedding_ttl_seconds:
        kept.append("query vectors belong to no user and stay")
    return "; ".join(kept)


def _ask(location: str, prefix: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidRequest("cache clear empties the cache and no terminal is there to ask", hint="pass --yes")
    question = f"Clear all under {one_line(prefix)} on {location}? Requests are slower until it has filled again."
    if not typer.confirm(question, err=True):
        raise RouterMemoryError("cancelled, nothing was cleared")
