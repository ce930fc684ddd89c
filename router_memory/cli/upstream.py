"""`upstream`: a server to try a gateway with."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from router_memory.errors import InvalidRequest, MissingExtra

__all__ = ["upstream"]

_Host = Annotated[str, typer.Option("--host", metavar="HOST", help="Address to listen on.")]
_Port = Annotated[int, typer.Option("--port", metavar="PORT", help="Port to listen on; 0 takes any free one.")]
_Delay = Annotated[
    float, typer.Option("--delay-ms", metavar="MS", help="Milliseconds before each part of a streamed answer.")
]

_MAX_PORT = 65_535
_MAX_DELAY_MS = 60_000


def upstream(host: _Host = "127.0.0.1", port: _Port = 8000, delay_ms: _Delay = 0.0) -> None:
    """Serves a model that says what it was sent, memories included, at /v1 of an address.

    It speaks chat completions, responses and models of the OpenAI API, plain and streaming. Nothing is stored.
    """
    if not 0 <= port <= _MAX_PORT:
        raise InvalidRequest(f"--port must be from 0 to {_MAX_PORT:,}", field="port")
    if not 0 <= delay_ms <= _MAX_DELAY_MS:
        raise InvalidRequest(f"--delay-ms must be from 0 to {_MAX_DELAY_MS:,}", field="delay_ms")
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("the demonstration's upstream", extra="server") from error
    from router_memory.demo.upstream import echo_app
    from router_memory.serving.listening import bind, urls

    signal.signal(signal.SIGTERM, _end)  # which uvicorn sends to itself once more when it is done
    listeners = bind(host, port)
    sys.stdout.write(f"router-memory: an echo listens on {urls(listeners)[0]}/v1\n")
    sys.stdout.flush()
    settings = uvicorn.Config(echo_app(delay=delay_ms / 1000), log_level="warning", access_log=False)
    uvicorn.Server(settings).run(sockets=listeners)


def _end(_number: int, _frame: FrameType | None) -> None:
    """To be stopped is how this ends well."""
    raise SystemExit(0)
