"""One request and its response on their way through: the body counted and timed, the response given its id."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from router_memory.interfaces.http.errors import ApiError, error_response

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Send

__all__ = ["GRACE_SECONDS", "LEAST_BYTES_A_SECOND", "LINGER_SECONDS", "Exchange", "too_large"]

LEAST_BYTES_A_SECOND = 1024
"""What a body must bring on average once it has had its longest pause: one byte now and then is no progress."""
LINGER_SECONDS = 2.0
"""How long a client that is told to stop may go on sending: closing at once would destroy the answer on its way."""

GRACE_SECONDS = 1.0
"""What a body may take in any case; one that takes longer gives way when the service is full."""

_REQUEST_ID = b"x-request-id"


class Exchange:
    """Stands between the server and the application for the length of one request.

    Args:
        receive, send: The server's.
        request_id: For the response.
        most_bytes: Of the body; ``None`` for any number.
        read_seconds: Longest wait for the next part of the body.

    Attributes:
        most_bytes: As given.
        status: Of the response; 0 before there is one.
        disconnected: Whether the client has left.
    """

    __slots__ = (
        "_bytes",
        "_complete",
        "_id",
        "_read_seconds",
        "_receive",
        "_refusal",
        "_send",
        "_since",
        "_timeout",
        "_waited",
        "disconnected",
        "most_bytes",
        "status",
    )

    def __init__(
        self, receive: Receive, send: Send, *, request_id: bytes, most_bytes: int | None, read_seconds: float
    ) -> None:
        self._receive = receive
        self._send = send
        self._id = request_id
        self._read_seconds = read_seconds
        self._since = 0.0
        self._waited = 0.0
        self._bytes = 0
        self._complete = False
        self._refusal: ApiError | None = None
        self._timeout: asyncio.Timeout | None = None
        self.most_bytes = most_bytes
        self.status = 0
        self.disconnected = False

    async def receive(self) -> Message:
        """The next part of the request.

        Raises:
            ApiError: The body is too large, or comes too slowly. Whatever the application makes of that, the client
                is told so, unless a response has begun.
        """
        if self._complete:  # what comes now is that the client leaves
            message = await self._receive()
            self.disconnected = message["type"] == "http.disconnect"
            return message
        message = await self._timed()
        if message["type"] == "http.disconnect":
            self.disconnected = True
            return message
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self.most_bytes is not None and self._bytes > self.most_bytes:
            raise self._refused(too_large(self.most_bytes))
        return message

    async def send(self, message: Message) -> None:
        """Sends a part of the response, unless the request was refused meanwhile."""
        if message["type"] == "http.response.start":
            if self._refusal is not None:
                return
            self.status = message["status"]
            headers = [header for header in message.get("headers", ()) if header[0].lower() != _REQUEST_ID]
            message = {**message, "headers": [*headers, (_REQUEST_ID, self._id)]}
        elif not self.status:
            return
        await self._send(message)

    def dawdles(self) -> bool:
        """Whether the application waits for a body, and has waited for it for `GRACE_SECONDS` in all."""
        return self._timeout is not None and self._waited + monotonic() - self._since > GRACE_SECONDS

    def hurry(self) -> None:
        """Ends the wait for the body now, as if its time were over."""
        timeout, self._timeout = self._timeout, None
        if timeout is not None:
            timeout.reschedule(asyncio.get_running_loop().time())

    @property
    def refused(self) -> bool:
        """Whether the client is still to be told that its request was refused."""
        return self._refusal is not None and not self.status

    async def refuse(self, refusal: ApiError | None = None) -> None:
        """Answers with an error: this one, or the one found while the body was read."""
        error = refusal or self._refusal
        if error is None or self.status:
            return
        self._refusal = None
        response = error_response(error.status, error.code, error.message, error.headers)
        body = bytes(response.body)
        linger = error.status == _TOO_LARGE and not self._complete
        headers = list(response.raw_headers)
        if linger or error.status == _TOO_SLOW:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": linger})
        if linger:
            await self._linger()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _timed(self) -> Message:
        # Only waiting counts: what the application does with a part before it asks for the next is not the client's.
        self._since = monotonic()
        allowed = self._read_seconds + self._bytes / LEAST_BYTES_A_SECOND - self._waited
        self._timeout = asyncio.timeout(max(min(self._read_seconds, allowed), 0.0))
        try:
            async with self._timeout:
                return await self._receive()
        except TimeoutError:
            text = "the body of the request came too slowly"
            raise self._refused(ApiError(_TOO_SLOW, "REQUEST_TIMEOUT", text)) from None
        finally:
            self._timeout = None
            self._waited += monotonic() - self._since

    def _refused(self, error: ApiError) -> ApiError:
        self._refusal = error
        return error

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._complete and not self.disconnected:
                    message = await self._receive()
                    self.disconnected = message["type"] == "http.disconnect"
                    self._complete = not message.get("more_body", False)
        except TimeoutError:
            pass


_TOO_SLOW = 408
_TOO_LARGE = 413
_MIB = 1024 * 1024


def too_large(most_bytes: int) -> ApiError:
    """The error for a body beyond the limit."""
    return ApiError(_TOO_LARGE, "BODY_TOO_LARGE", f"the body of a request may have {most_bytes // _MIB:,} MiB")
