"""An upstream behind TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import orjson
import pytest

from tests.interfaces.http.proxy.fake import plain_chat, streamed
from tests.interfaces.http.proxy.stage import stage
from tests.servers.certificates import Authority, Pair

BODY = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Which seat do I like?" * 10_000}]})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


def showing(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


async def test_chats_go_over_tls_to_an_upstream_of_the_authority_named(tmp_path: Path, authority: Authority) -> None:
    trusted = {"tls_ca_path": str(authority.pair.certificate)}
    async with stage(tmp_path, tls=showing(authority.issue("good")), upstream=trusted) as opened:
        opened.upstream.play = plain_chat("x" * 300_000)
        plain = await opened.chat(BODY)
        opened.upstream.play = streamed(b"data: 1\n\n", b"data: [DONE]\n\n")
        stream = await opened.chat(BODY)
        seen = [request.body for request in opened.upstream.seen]
    assert (len(plain.json()["choices"][0]["message"]["content"]), stream.status_code) == (300_000, 200)
    assert seen == [BODY, BODY]
    assert opened.upstream.connections == 1


@pytest.mark.parametrize("names", ["DNS:elsewhere.example", "IP:127.0.0.1"])
async def test_an_upstream_that_cannot_be_trusted_gets_nothing(
    tmp_path: Path, authority: Authority, names: str
) -> None:
    own = {"tls_ca_path": str(authority.pair.certificate)} if names.startswith("DNS") else {}
    async with stage(tmp_path, tls=showing(authority.issue("other", names=names)), upstream=own) as opened:
        response = await opened.chat(BODY)
        assert (response.status_code, response.json()["error"]["code"]) == (502, "UPSTREAM_UNREACHABLE")
        assert opened.upstream.seen == []
