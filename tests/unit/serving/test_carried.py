"""An error says and means the same in another process."""

from __future__ import annotations

import json

import pytest

from router_memory.cli.entry import _code
from router_memory.errors import (
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    EmbeddingError,
    IndexMismatch,
    InvalidRequest,
    MissingExtra,
    RouterMemoryError,
)
from router_memory.serving.carried import carried, revived

ERRORS = [
    ConfigError("must be positive", file="c.yaml", key_path="a.b", hint="try 1"),
    InvalidRequest("no", field="limit"),
    EmbeddingError("there is no model", hint="check the path"),
    BackendUnavailable("cannot be reached", backend="valkey", operation="open", hint="start it"),
    BackendTimeout("no answer", backend="valkey", operation="open"),
    BackendRejected("wrong password", backend="valkey", operation="open"),
    IndexMismatch("another model", backend="embedded", operation="open", expected="a", found="b"),
    MissingExtra("serve", extra="server"),
    RouterMemoryError("something"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_message_and_exit_code_stay(error: RouterMemoryError) -> None:
    there = revived(json.loads(json.dumps(carried(error))))
    assert str(there) == str(error)
    assert _code(there) == _code(error)


def test_of_a_defect_only_the_class_is_told() -> None:
    there = revived(carried(KeyError("the user's secret")))
    assert "KeyError" in str(there)
    assert "secret" not in str(there)
