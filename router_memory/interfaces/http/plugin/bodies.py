"""Bodies that hold a client's own messages: they come back as they came, whatever JSON can say in them."""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.responses import Response

from router_memory.interfaces.http.api_route import NO_STORE

__all__ = ["answer"]


def answer(value: object, status: int = 200) -> Response:
    """The answer, kept by no cache.

    orjson refuses integers past 64 bits and halves of surrogate pairs, which messages cut by a client may hold; the
    standard library writes both as they were read.
    """
    try:
        body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    except TypeError:
        body = json.dumps(value, default=_other, separators=(",", ":")).encode()
    return Response(body, status, headers=NO_STORE, media_type="application/json")


def _other(value: Any) -> str:
    """Times, as orjson writes them."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode().strip('"')
