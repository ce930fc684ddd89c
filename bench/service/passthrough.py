"""The floor: uvicorn and httpx with nothing between them. ``python -m bench.service.passthrough PORT UPSTREAM``."""

from __future__ import annotations

import sys
from typing import Any

import httpx
import uvicorn

_SKIPPED = frozenset((b"host", b"content-length", b"connection", b"transfer-encoding"))


class Passthrough:
    """Passes every request on as it came, and the answer back as it comes.

    Args:
        upstream: Its URL, without a path.
    """

    def __init__(self, upstream: str) -> None:
        limits = httpx.Limits(max_connections=1024, max_keepalive_connections=1024)
        self._client = httpx.AsyncClient(limits=limits, timeout=600.0, trust_env=False)
        self._upstream = upstream

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        request = self._client.build_request(
            scope["method"],
            self._upstream + scope["path"],
            headers=[pair for pair in scope["headers"] if pair[0] not in _SKIPPED],
            content=body,
        )
        response = await self._client.send(request, stream=True)
        try:
            headers = [(name.lower(), value) for name, value in response.headers.raw]
            headers = [pair for pair in headers if pair[0] not in _SKIPPED or pair[0] == b"content-length"]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()


if __name__ == "__main__":
    uvicorn.run(Passthrough(sys.argv[2]), port=int(sys.argv[1]), lifespan="off", log_level="warning", access_log=False)
