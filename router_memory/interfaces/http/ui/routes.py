"""Serves the dashboard's files."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.ui.assets import INDEX, assets

__all__ = ["router"]

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # text never becomes markup: where a browser knows these, `innerHTML` and its like throw
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",  # for browsers that do not know frame-ancestors
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",  # kept, and asked for each time: after an upgrade no page mixes two versions
}

router = APIRouter(include_in_schema=False)


@router.api_route("/ui", methods=["GET", "HEAD"])
async def folder() -> Response:
    """On to the folder; relative, so that it holds behind a gateway that serves this below a path of its own."""
    return RedirectResponse("ui/", 307, headers=dict(_HEADERS))


@router.api_route("/ui/{path:path}", methods=["GET", "HEAD"])
async def file(path: str, request: Request) -> Response:
    """One file; ``304`` where the browser has it already."""
    asset = assets().get(path or INDEX)
    if asset is None:
        raise ApiError(404, "NOT_FOUND", "the dashboard has no such file")
    headers = {**_HEADERS, "etag": asset.etag}
    if _has(request.headers.get("if-none-match", ""), asset.etag):
        return Response(status_code=304, headers=headers)
    return Response(asset.body, headers=headers, media_type=asset.media_type)


def _has(header: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` names the tag; a proxy that compresses makes it a weak one."""
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in header.split(","))
