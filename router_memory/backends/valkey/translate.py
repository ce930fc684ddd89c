"""The border to glide: its exceptions become ours here and nowhere else.

glide's `TimeoutError` and `ConnectionError` are not the builtins, and most of what a server says arrives as one class,
`RequestError`, with a text that glide has partly rewritten (``READONLY You can't write`` becomes
``An error was signalled by the server: - ReadOnly: You can't write``). So errors are told apart by the stable part of
that text. A server's text may quote arguments of the command, hence content: only what is outside the quotes passes.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from router_memory.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BACKEND",
    "Forbidden",
    "IndexExists",
    "IndexMissing",
    "NoCoordinator",
    "NotPrimary",
    "ScriptMissing",
    "SearchTimeout",
    "Unreachable",
    "advise_cache",
    "of_wrong_type",
    "translated",
    "translating",
]

BACKEND = "valkey"

_RIGHTS = (
    "an ACL user of the store needs the keys of its prefix (~mem:* by default), +@read +@write +@scripting "
    "+@connection, +INFO, and the Search commands +FT.CREATE +FT.SEARCH +FT.INFO +FT._LIST +FT.DROPINDEX; on a cluster "
    "+CLUSTER too"
)
_CREDENTIALS = "check the user name and the password or password file; the server does not say which one is wrong"
_LOGIN = "the server asks for a login: configure a password, and a user name if it is not the default user's"
_MEMORY = (
    "raise maxmemory or forget memories; keep maxmemory-policy at noeviction, since any other deletes memories; "
    "searches are refused too until memory is free"
)
_NO_SEARCH = (
    "start the server with the Search module: the valkey/valkey-bundle image has it, or valkey-server --loadmodule "
    "libsearch.so; it takes Valkey 9.0.1 or newer with Search 1.2 or newer"
)
_DISK = "the server cannot save to its disk: free space there or mend its permissions; reads still work"
_REPLICAS = "fewer replicas are connected than min-replicas-to-write asks for: bring them back or lower it"
_REPLICA = "this node is a replica, or has become one: configure the primary's address, or wait for the failover to end"
_STARTING = "the server is reading its data from disk"
_FAILOVER = "a part of the cluster has no primary at the moment; it is over when the failover is done"
_NODE = (
    "the node is down, or its slot has moved: the other nodes are not concerned, and the connection is retried; "
    "if the server is a cluster, it must be configured as one"
)
_NO_CLUSTER = "configure it as a single server"
_CLIENTS = "the server has as many connections as maxclients allows"
_BUSY = "a long script holds the server: wait for its end, or stop it with SCRIPT KILL"
_OVERLOADED = "too many requests of this process wait for the server at once"
_UNREACHABLE = "check that the server runs and that host, port and TLS settings are right; the connection is retried"
_TLS = (
    "the certificate is not signed by the configured CA, is not for this host name, has expired, or the server asks "
    "for a client certificate"
)
_PROTOCOL = "the server must speak RESP3: Valkey, or Redis 6 and newer"
_TIMEOUT = "the server is stopped, overloaded or cut off; a write may still have taken effect"
_SEARCH_TIMEOUT = "the search took longer than its deadline allows: raise the deadline, or look at the server's load"
_NO_DATABASE = "configure a database the server has; a cluster has only 0 unless its cluster-databases says otherwise"
_FOREIGN = "something else writes under this prefix: give it a prefix or a database of its own"
_WRONG_TYPE = "WRONGTYPE"
_DEFECT = "this is a defect: please report it"

_FOR_CACHE = {
    _RIGHTS: "an ACL user of the cache needs the keys of its prefix and the commands that docs/cache.md lists",
    _MEMORY: "set maxmemory-policy allkeys-lru, so that the cache makes room for itself, or raise maxmemory",
    _DISK: 'a cache need not save: set save "" and appendonly no',
}


class IndexMissing(BackendUnavailable):
    """The server knows no index of that name: it was flushed, or the index was never created."""


class IndexExists(BackendRejected):
    """An index of that name exists already."""


class Forbidden(BackendRejected):
    """The user has no right to do this."""


class NoCoordinator(BackendRejected):
    """Search was loaded without its coordinator, so that no node knows of the others."""


class ScriptMissing(BackendUnavailable):
    """The server does not know a script that was named by its digest."""


class SearchTimeout(BackendTimeout):
    """The server gave a search up at the deadline it was told: an answer, on a connection that works."""


class Unreachable(BackendUnavailable):
    """There is no connection to the server, or it was lost."""


class NotPrimary(BackendUnavailable):
    """A write went to a replica: the roles have changed since the connection was made."""


class _Meaning(NamedTuple):
    """What a text of the server says: the class of the error, our words for it, and what to do."""

    stable: re.Pattern[str]
    kind: type[BackendError]
    says: str
    hint: str = ""


def _meaning(stable: str, kind: type[BackendError], says: str, hint: str = "") -> _Meaning:
    return _Meaning(re.compile(stable), kind, says, hint)


# The first that fits counts. What a lost connection looked like comes last: its text wraps the cause.
_MEANINGS = (
    _meaning(r"NOSCRIPT|NoScriptError", ScriptMissing, "the server does not know the script"),
    _meaning(r"WRONGPASS|AuthenticationFailed", BackendRejected, "wrong user name or password", _CREDENTIALS),
    _meaning(r"NOAUTH", BackendRejected, "the server wants a password", _LOGIN),
    _meaning(
        r"NOPERM|PermissionDenied|have a permission|has no permissions to|ACL failure|refused to set client name",
        Forbidden,
        "the ACL forbids this",
        _RIGHTS,
    ),
    _meaning(r"\bOOM\b|used memory > 'maxmemory'", BackendRejected, "the server is out of memory", _MEMORY),
    _meaning(_WRONG_TYPE, BackendRejected, f"a key holds a value of another type ({_WRONG_TYPE})"),
    _meaning(r"unknown command '(?i:FT\.)", BackendRejected, "the Search module is not loaded", _NO_SEARCH),
    _meaning(r"not found in database|Index with name .* not found|Unknown [Ii]ndex", IndexMissing, "no such index"),
    _meaning(
        r"(PRIMARY|CLUSTER):? option is not valid",
        NoCoordinator,
        "Search runs without its coordinator",
    ),
    _meaning(r"[Ii]ndex.* already exists", IndexExists, "the index already exists"),
    _meaning(r"operation cancelled due to timeout", SearchTimeout, "the search did not end in time", _SEARCH_TIMEOUT),
    _meaning(r"Request:? timed out", SearchTimeout, "a node did not answer in time", _SEARCH_TIMEOUT),
    _meaning(r"Unable:? to contact all cluster members", BackendUnavailable, "not all nodes answered", _FAILOVER),
    # What a script meets that a connection for reads has sent to a replica: no MOVED, as the write itself would.
    _meaning(
        r"READONLY|ReadOnly\b|No primary node found|access a non local key",
        NotPrimary,
        "the node is a read-only replica",
        _REPLICA,
    ),
    _meaning(r"MASTERDOWN|MasterDown", BackendUnavailable, "the replica has lost its primary", _FAILOVER),
    _meaning(r"LOADING|BusyLoadingError", BackendUnavailable, "the server is starting", _STARTING),
    _meaning(r"CLUSTERDOWN|ClusterDown|NotAllSlotsCovered", BackendUnavailable, "the cluster is down", _FAILOVER),
    _meaning(r"TRYAGAIN|TryAgain|\bAsk\b", BackendUnavailable, "the cluster is moving its slots"),
    _meaning(r"MOVED|\bMoved\b|ConnectionNotFoundForRoute", Unreachable, "the key's node cannot be reached", _NODE),
    _meaning(r"MAXCLIENTS|max number of clients", BackendUnavailable, "the server takes no connection", _CLIENTS),
    _meaning(r"UNBLOCKED", BackendUnavailable, "the server changed its role during the call"),
    _meaning(r"BUSY\b", BackendUnavailable, "the server is busy with a script", _BUSY),
    _meaning(r"maximum inflight requests", BackendUnavailable, "too many requests are waiting", _OVERLOADED),
    _meaning(r"MISCONF", BackendRejected, "the server refuses writes because it cannot save", _DISK),
    _meaning(r"NOREPLICAS", BackendRejected, "too few replicas to write", _REPLICAS),
    _meaning(r"CROSSSLOT|CrossSlot", BackendRejected, "keys of two slots in one step", _DEFECT),
    _meaning(r"DB index is out of range|refused to switch database", BackendRejected, "no such database", _NO_DATABASE),
    _meaning(r"(?i:certificate|handshake|\btls\b)", Unreachable, "the TLS connection failed", _TLS),
    _meaning(r"No topology views found", BackendRejected, "the server is not a cluster", _NO_CLUSTER),
    _meaning(r"RESP3NotSupported", BackendRejected, "the server is too old", _PROTOCOL),
    _meaning(
        r"(connect failed|initial connections).*timed out", BackendTimeout, "the server did not answer", _UNREACHABLE
    ),
    _meaning(
        r"connect failed|[Cc]onnection|[Bb]roken ?[Pp]ipe|internal sender|IoError|Fatal(Receive|Send)Error|multiplexed",
        Unreachable,
        "no connection to the server",
        _UNREACHABLE,
    ),
)

_PREFIX = re.compile(r"^(An error was signalled by the server: - )?(ResponseError: |ERR:? )?")
_ARGUMENTS = re.compile(r",? with args beginning with.*", re.DOTALL)
_QUOTED = (re.compile(r"'.*'", re.DOTALL), re.compile(r"`.*`", re.DOTALL), re.compile(r'".*"', re.DOTALL))
_LONGEST = 160


def _without_arguments(text: str) -> str:
    """What a server said, without what it quoted: from the first sign of quotation to the last of its kind."""
    said = _ARGUMENTS.sub("", _PREFIX.sub("", text))
    for quoted in _QUOTED:
        said = quoted.sub("…", said)
    return " ".join(said.split())[:_LONGEST]


def _by_text(text: str) -> _Meaning | None:
    said = _ARGUMENTS.sub("", text)
    return next((meaning for meaning in _MEANINGS if meaning.stable.search(said)), None)


def _by_class(error: BaseException) -> tuple[type[BackendError], str, str] | None:
    """The meaning of an error whose class says enough."""
    from glide import ClosingError, ConfigurationError
    from glide import ConnectionError as Disconnected
    from glide import TimeoutError as GlideTimeout

    if isinstance(error, (GlideTimeout, TimeoutError)):
        return BackendTimeout, "the server did not answer in time", _TIMEOUT
    if isinstance(error, ConfigurationError):
        return BackendRejected, "the connection's settings do not fit together", str(error)
    if isinstance(error, (ClosingError, Disconnected)) and _by_text(str(error)) is None:
        return Unreachable, "the connection was closed", _UNREACHABLE
    return None


def translated(error: BaseException, operation: str, location: str) -> BackendError:
    """The error of ours for one of glide's, or for a timeout of asyncio's.

    Args:
        error: What was raised, or returned in the place of a reply.
        operation: What was being done.
        location: The server, ``host:port/database``, which every message names.
    """
    if isinstance(error, BackendError):
        return error
    found: tuple[type[BackendError], str, str] | None = _by_class(error)
    if found is None:
        meaning = _by_text(str(error))
        found = (
            (meaning.kind, meaning.says, meaning.hint)
            if meaning is not None
            else (BackendRejected, f"the server refused: {_without_arguments(str(error))}", "")
        )
    kind, says, hint = found
    return kind(f"{location}: {says}", backend=BACKEND, operation=operation, hint=hint)


def of_wrong_type(error: BackendError) -> bool:
    """Whether it says that a key holds a value of another type than the command is for."""
    return _WRONG_TYPE in error.message


def advise_cache(error: BackendError) -> None:
    """Gives an error the advice that fits a cache, where the usual one is for a store."""
    error.hint = _FOREIGN if of_wrong_type(error) else _FOR_CACHE.get(error.hint, error.hint)


@contextmanager
def translating(operation: str, location: str) -> Iterator[None]:
    """Raises the `BackendError` that stands for an error of glide's, or a timeout, inside the block.

    Args:
        operation: What is being done.
        location: The server, ``host:port/database``.

    Raises:
        BackendTimeout: No answer in time; whether a write took effect is unknown.
        BackendUnavailable: No connection, a server that starts, fails over or is overloaded, a missing index.
        BackendRejected: Wrong password, missing rights, no memory, no Search module, and everything else.
    """
    from glide import GlideError

    try:
        yield
    except (GlideError, TimeoutError) as error:
        raise translated(error, operation, location) from error
