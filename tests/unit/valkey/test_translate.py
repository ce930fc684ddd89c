"""Errors of glide and of the server become ours, on texts recorded from Valkey 9.1, Search 1.2 and glide 2.5."""

from __future__ import annotations

import pytest
from glide import ClosingError, ConfigurationError, RequestError
from glide import ConnectionError as Disconnected
from glide import TimeoutError as GlideTimeout

from router_memory.backends.valkey.translate import (
    BACKEND,
    Forbidden,
    IndexExists,
    IndexMissing,
    NoCoordinator,
    NotPrimary,
    SearchTimeout,
    Unreachable,
    translated,
    translating,
)
from router_memory.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable

LOCATION = "memory.example:6379/0"
SIGNALLED = "An error was signalled by the server: - "
CONNECT = "Standalone connect failed - IoError: Received error for address `127.0.0.1:7801`: "

RECORDED = [
    (f"{CONNECT}WRONGPASS: invalid username-password pair or user is disabled.\n", BackendRejected, "wrong user name"),
    (f"{CONNECT}NOAUTH: HELLO must be called with the client already authenticated", BackendRejected, "password"),
    ("NOAUTH: Authentication required.", BackendRejected, "password"),
    (f"{SIGNALLED}PermissionDenied: User bob has no permissions to run the 'set' command", Forbidden, "ACL"),
    ("NOPERM: User bob has no permissions to access one of the keys used as arguments", Forbidden, "ACL"),
    ("OOM: command not allowed when used memory > 'maxmemory'.", BackendRejected, "out of memory"),
    (
        "OOM: command not allowed when used memory > 'maxmemory'. script: 82b0, on @user_script:1.",
        BackendRejected,
        "memory",
    ),
    (
        f"{SIGNALLED}ResponseError: unknown command 'FT.CREATE', with args beginning with: 'x' ",
        BackendRejected,
        "the Search module is not loaded",
    ),
    ("Index: with name 'nope' not found in database 0", IndexMissing, "no such index"),
    ("Index with name 'nope' not found in database 0", IndexMissing, "no such index"),
    ("Unknown: index name", BackendRejected, "refused"),
    (f"{SIGNALLED}ResponseError: Unknown index name", IndexMissing, "no such index"),
    ("Index: i in database 0 already exists.", IndexExists, "already exists"),
    (f"{SIGNALLED}ResponseError: Index already exists", IndexExists, "already exists"),
    ("Search: operation cancelled due to timeout", SearchTimeout, "search"),
    ("Search operation cancelled due to timeout", SearchTimeout, "search"),
    ("Request: timed out", SearchTimeout, "node"),
    ("Unable: to contact all cluster members", BackendUnavailable, "nodes"),
    (f"{SIGNALLED}ReadOnly: You can't write against a read only replica.", NotPrimary, "replica"),
    (
        "Script: attempted to access a non local key in a cluster node script: 4, on @user_script:1.",
        NotPrimary,
        "replica",
    ),
    ("ERR: PRIMARY option is not valid in this configuration", NoCoordinator, "coordinator"),
    (f"{SIGNALLED}MasterDown: Link with MASTER is down", BackendUnavailable, "primary"),
    (f"{SIGNALLED}BusyLoadingError: Valkey is loading the dataset in memory", BackendUnavailable, "starting"),
    (f"{SIGNALLED}ClusterDown: The cluster is down", BackendUnavailable, "cluster is down"),
    (f"{SIGNALLED}ClusterDown: Hash slot not served", BackendUnavailable, "cluster is down"),
    (f"{SIGNALLED}TryAgain: Multiple keys request during rehashing of slot", BackendUnavailable, "slots"),
    (f"{SIGNALLED}Moved: 1584 127.0.0.1:16147; ExtensionError", Unreachable, "node"),
    (f"{CONNECT}ERR: max number of clients reached", BackendUnavailable, "takes no connection"),
    ("UNBLOCKED: force unblock from blocking operation, instance state changed", BackendUnavailable, "role"),
    ("BUSY: Valkey is busy running a script.", BackendUnavailable, "script"),
    ("Reached maximum inflight requests- ClientError", BackendUnavailable, "too many requests"),
    ("MISCONF: Valkey is configured to save RDB snapshots", BackendRejected, "cannot save"),
    ("NOREPLICAS: Not enough good replicas to write.", BackendRejected, "replicas"),
    (f"{SIGNALLED}CrossSlot: Keys in request don't hash to the same slot", BackendRejected, "two slots"),
    (f"{CONNECT}Redis server refused to switch database- ResponseError\n", BackendRejected, "no such database"),
    (f"{CONNECT}Redis server refused to set client name- ResponseError\n", Forbidden, "the ACL forbids this"),
    ("No topology views found- ResponseError", BackendRejected, "not a cluster"),
    (
        "Failed to create initial connections - IoError: Failed to refresh: `timed out`",
        BackendTimeout,
        "did not answer",
    ),
    (
        "Failed to create initial connections - IoError: `Connection refused (os error 111)`",
        Unreachable,
        "no connection",
    ),
    (f"{SIGNALLED}ResponseError: DB index is out of range", BackendRejected, "no such database"),
    (f"{CONNECT}Connection refused (os error 111)\n", Unreachable, "no connection"),
    (f"{CONNECT}timed out\n", BackendTimeout, "did not answer"),
    (f"{CONNECT}invalid peer certificate: UnknownIssuer\n", Unreachable, "TLS"),
    ("BrokenPipe: Cluster: Failed to receive command response from internal sender.", Unreachable, "no connection"),
    ("WRONGTYPE: Operation against a key holding the wrong kind of value", BackendRejected, "WRONGTYPE"),
]


@pytest.mark.parametrize(("text", "kind", "says"), RECORDED)
def test_text_of_server_decides(text: str, kind: type[BackendError], says: str) -> None:
    error = translated(RequestError(text), "add", LOCATION)

    assert type(error) is kind
    assert says in error.message
    assert error.message.startswith(f"valkey add: {LOCATION}: ")
    assert (error.backend, error.operation) == (BACKEND, "add")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GlideTimeout("timed out"), BackendTimeout),
        (TimeoutError(), BackendTimeout),
        (Disconnected("Received connection error `BrokenPipe`. Will attempt to reconnect"), Unreachable),
        (ClosingError("Unable to execute requests; the client is closed. Please create a new client."), Unreachable),
        (ClosingError(""), Unreachable),
        (ConfigurationError("use_insecure_tls cannot be enabled when use_tls is disabled."), BackendRejected),
    ],
)
def test_class_decides_where_it_says_enough(error: Exception, kind: type[BackendError]) -> None:
    assert type(translated(error, "get", LOCATION)) is kind


def test_disconnection_keeps_the_cause_the_server_gave() -> None:
    """A client that loses its connection over a wrong password reports the password."""
    error = translated(Disconnected("Received connection error `WRONGPASS: invalid`"), "get", LOCATION)

    assert isinstance(error, BackendRejected)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("NOPERM: no", "+@scripting"),
        ("NOPERM: no", "+FT.SEARCH"),
        ("OOM: no", "noeviction"),
        (f"{SIGNALLED}ResponseError: unknown command 'FT.SEARCH'", "--loadmodule"),
        (f"{SIGNALLED}ResponseError: unknown command 'FT.SEARCH'", "9.0.1"),
        ("MISCONF: no", "disk"),
    ],
)
def test_hint_says_what_an_operator_does(text: str, hint: str) -> None:
    assert hint in translated(RequestError(text), "add", LOCATION).hint


@pytest.mark.parametrize(
    "text",
    [
        f"{SIGNALLED}ResponseError: unknown command 'NOPE', with args beginning with: 'my secret' 'OOM' ",
        "Invalid: filter expression: `@user:{it's my secret} @`. Unexpected character at position 24: `@`",
        'Parameter "my secret" is wrong',
        "Invalid: range '[my secret' in `x` of \"my secret\"",
    ],
)
def test_quoted_arguments_never_pass(text: str) -> None:
    error = translated(RequestError(text), "search", LOCATION)

    assert type(error) is BackendRejected
    assert "secret" not in str(error)


def test_long_text_is_cut() -> None:
    error = translated(RequestError("x" * 5_000), "search", LOCATION)

    assert len(str(error)) < 300


def test_error_of_ours_stays_itself() -> None:
    error = BackendTimeout("late", backend=BACKEND, operation="add")

    assert translated(error, "get", LOCATION) is error


def test_block_raises_the_translation_with_its_cause() -> None:
    with pytest.raises(BackendTimeout, match="did not answer in time") as raised, translating("get", LOCATION):
        raise GlideTimeout("timed out")

    assert isinstance(raised.value.__cause__, GlideTimeout)


def test_block_lets_other_errors_pass() -> None:
    with pytest.raises(KeyError), translating("get", LOCATION):
        raise KeyError("x")
