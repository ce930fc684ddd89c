"""The sockets of the service."""

from __future__ import annotations

import socket

import pytest

from router_memory.serving.listening import CannotListen, bind, urls
from tests.servers.ports import free_port


def test_a_free_port_is_found_and_told() -> None:
    (listener,) = bind("127.0.0.1", 0)
    with listener:
        assert urls([listener]) == [f"http://127.0.0.1:{listener.getsockname()[1]}"]
        with socket.create_connection(listener.getsockname()):
            pass


def test_a_name_with_several_addresses_has_one_port_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    listeners = bind("both", 0)
    try:
        assert len({each.getsockname()[1] for each in listeners}) == 1
        assert {each.getsockname()[0] for each in listeners} == {"127.0.0.1", "127.0.0.2"}
    finally:
        for each in listeners:
            each.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        listeners = bind("::1", 0)
    except CannotListen:
        pytest.skip("this machine has no IPv6")
    with listeners[0]:
        assert urls(listeners)[0].startswith("http://[::1]:")


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    port = free_port()
    (listener,) = bind("127.0.0.1", port)
    with listener, pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{port}: another process listens there .*--port"):
        bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotListen, match="does not have that address"):
        bind("203.0.113.9", 0)


@pytest.mark.parametrize("host", ["no.such.name.invalid", "a..b", "x" * 300])
def test_a_name_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(CannotListen, match="cannot be found"):
        bind(host, 0)
