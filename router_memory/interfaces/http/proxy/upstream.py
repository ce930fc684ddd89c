"""The upstream of one configuration: where it is, and the connections to it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Self

import httpcore
import httpx

from router_memory.config import Config
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.proxy.failures import FAILURES, failure_of
from router_memory.interfaces.http.proxy.headers import Headers, Names
from router_memory.interfaces.http.proxy.wire import Wires
from router_memory.service import Generation, Service

__all__ = ["Answer", "Upstream"]

_KEPT_SECONDS = 4.0
"""How long an idle connection is kept: less than the five seconds after which uvicorn, and so most model servers, close
theirs, or a chat would now and then be sent into a connection that is just being closed."""

_PIECE = 65_536


class Upstream:
    """Sends requests to the upstream.

    It stands on httpcore, the engine of httpx, and not on httpx's client, which would keep the upstream's cookies of
    one user for the next one and makes objects of everything on the way.

    Args:
        config: Says where it is.

    Attributes:
        names: The headers that are this service's own.
        not_on: The headers that are not passed on.
        api_key: The upstream's; empty if the client's goes on.
        models: What clients may name as a model besides the upstream's own, by name.
    """

    def __init__(self, config: Config) -> None:
        section = config.service.upstream
        key = config.upstream_key()
        self.names = Names.of(config)
        self.not_on = self.names.not_on
        self.api_key = key.get_secret_value().encode() if key is not None else b""
        self.models = {alias.name: alias for alias in config.service.models}
        self._base = section.url
        self._urls: dict[str, tuple[httpcore.URL, bytes]] = {}
        self._timeout = {
            "connect": section.connect_timeout,
            "pool": section.connect_timeout,
            "read": section.timeout,
            "write": section.timeout,
        }
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trust(config),
            max_connections=section.max_connections,
            max_keepalive_connections=section.max_connections,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=Wires(),
        )

    @classmethod
    def of(cls, service: Service, generation: Generation) -> Self:
        """That of a generation, closed with it.

        Raises:
            ApiError: The configuration names none.
        """
        if not generation.config.service.upstream.url:
            raise ApiError(404, "NO_UPSTREAM", "no chats are passed on: service.upstream.url is not set")
        return service.resource(generation, "proxy.upstream", cls, cls.close)

    async def send(
        self, method: str, path: str, headers: Headers, body: Sequence[bytes] = (), *, query: bytes = b""
    ) -> Answer:
        """Sends a request and waits for the head of the answer.

        Args:
            path: Behind the configured URL.
            headers: Without host and length.
            body: In pieces.

        Raises:
            UpstreamFailed: There is no answer.
        """
        url, host = self._url(path, query)
        size = sum(map(len, body))
        length = [(b"content-length", b"%d" % size)] if size or method != "GET" else []
        request = httpcore.Request(
            method,
            url,
            headers=[(b"host", host), *headers, *length],
            content=_Body(body),
            extensions={"timeout": self._timeout},
        )
        try:
            return Answer(await self._pool.handle_async_request(request))
        except FAILURES as error:
            raise failure_of(error) from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._pool.aclose()

    def _url(self, path: str, query: bytes) -> tuple[httpcore.URL, bytes]:
        """The URL, and what stands in the header Host."""
        known = self._urls.get(path)
        if known is None:
            parsed = httpx.URL(self._base + path)  # httpcore's own takes no names outside of ASCII
            url = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
            known = self._urls[path] = url, parsed.netloc
        if not query:
            return known
        url, host = known
        target = url.target + b"?" + query
        return httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=target), host


class Answer:
    """The upstream's answer: its head, and its body as it comes.

    Attributes:
        status, headers: As the upstream gave them.
    """

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self.status = response.status
        self.headers: Headers = response.headers

    def parts(self) -> AsyncIterator[bytes]:
        """The body as it was sent, compressed or not.

        Raises:
            FAILURES: The upstream broke off.
        """
        return self._response.aiter_stream()

    def header(self, name: bytes) -> bytes:
        """The value of a header; empty without one."""
        return next((value for found, value in self.headers if found.lower() == name), b"")

    async def close(self) -> None:
        """Gives the connection back if the answer was read to its end, else closes it."""
        await self._response.aclose()


class _Body:
    """A request's body in pieces small enough that others get their turn between them."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if len(piece) <= _PIECE:
                yield piece
                continue
            view = memoryview(piece)
            for start in range(0, len(piece), _PIECE):
                yield bytes(view[start : start + _PIECE])


def _trust(config: Config) -> ssl.SSLContext | None:
    """Whose certificates are trusted; ``None`` where there are none to look at."""
    if not config.service.upstream.url.startswith("https:"):
        return None
    authority = config.upstream_ca()
    if authority is None:
        return httpx.create_ssl_context(trust_env=False)
    return ssl.create_default_context(cadata=authority.decode())
