"""Prefixes and index names that mean something to the server, or to another store's keys, are refused everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from router_memory.backends.valkey import Connection, ValkeyStore
from router_memory.config import load_config
from router_memory.config.servers import ValkeySection
from router_memory.errors import ConfigError, InvalidRequest

BAD = ["", "a b", "mem:{x}", "mem*", "m?", "[m]", "mem\\", "a\nb", "a\x7f", "a\x85b"]
CLOSE = ["meta:", "mem:meta:", "mem:order:"]


def store(**names: str) -> ValkeyStore:
    chosen: dict[str, Any] = dict(names)
    return ValkeyStore(Connection(addresses=[("127.0.0.1", 1)]), **chosen)


def configured(**names: str) -> ValkeySection:
    section = {"enabled": True, "backend": "valkey", "valkey": names}
    return load_config({"global": {"stores": {"memory": section}}}).memory.valkey


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize(("argument", "key"), [("prefix", "collection_prefix"), ("index_name", "index_name")])
def test_what_means_something_to_the_server_is_refused(argument: str, key: str, name: str) -> None:
    """A backslash made SCAN find nothing, so that there were no users."""
    with pytest.raises(InvalidRequest) as raised:
        store(**{argument: name})
    assert raised.value.field == argument
    with pytest.raises(ConfigError, match=key):
        configured(**{key: name})


@pytest.mark.parametrize("prefix", CLOSE)
def test_a_prefix_does_not_end_as_other_keys_go_on(prefix: str) -> None:
    """The index over ``mem:meta:{`` would hold the statistics of the store under ``mem:``."""
    with pytest.raises(InvalidRequest) as raised:
        store(prefix=prefix)
    assert raised.value.field == "prefix"
    with pytest.raises(ConfigError, match="collection_prefix"):
        configured(collection_prefix=prefix)
    store(index_name=prefix)
    configured(index_name=prefix)


@pytest.mark.parametrize("prefix", ["mem:", "metal:", "meta", "order", "größe:", "a/b-c.d:", "meta:x:"])
def test_others_are_taken(prefix: str) -> None:
    """In both places."""
    store(prefix=prefix)
    assert configured(collection_prefix=prefix).collection_prefix == prefix
