"""`/docs`: the description of the API as one page that needs no script and nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

__all__ = ["page_of", "router"]

router = APIRouter(include_in_schema=False)

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
section { border-top: 1px solid #8886; margin-top: 2rem; }
code, pre { font: .9em/1.4 ui-monospace, monospace; }
pre { border: 1px solid #8886; padding: .5rem; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid #8886; padding: .2rem .5rem; text-align: left; vertical-align: top; }
"""
_CODE = re.compile(r"`([^`]*)`")
_REF = "#/components/schemas/"

Described = Mapping[str, Any]


@router.get("/docs")
async def page(request: Request) -> HTMLResponse:
    """The page; `/openapi.json` has the same for programs."""
    return HTMLResponse(page_of(request.app.openapi()), headers=_HEADERS)


def page_of(description: Described) -> str:
    """The page for a description in the form of OpenAPI 3.1."""
    info, schemas = description["info"], description.get("components", {}).get("schemas", {})
    operations = [
        (path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: API</title><style>{_STYLE}</style></head><body><main><h1>{title}: API</h1>",
        f'<p>{_text(info.get("description", ""))} For programs: <a href="openapi.json">openapi.json</a>.</p><ul>',
        *(
            f'<li><a href="#{_anchor(path, method)}"><code>{method.upper()} {escape(path)}</code></a> '
            f"{escape(operation.get('summary', ''))}</li>"
            for path, method, operation in operations
        ),
        "</ul>",
        *(part for operation in operations for part in _section(*operation, schemas)),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _section(path: str, method: str, operation: Described, schemas: Described) -> Iterator[str]:
    yield f'<section id="{_anchor(path, method)}"><h2>{escape(operation.get("summary", path))}</h2>'
    yield f"<p><code>{method.upper()} {escape(path)}</code></p>"
    yield from (f"<p>{_text(part)}</p>" for part in operation.get("description", "").split("\n\n") if part)
    rows = [
        (parameter["name"], parameter["in"], _kind(parameter.get("schema", {})), parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    yield from _table(("parameter", "in", "type", ""), rows)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from _body("Body", media, content, schemas)
    answers = operation["responses"].items()
    yield from _table(("status", ""), [(status, answer.get("description", "")) for status, answer in answers])
    for status, answer in answers:
        if status.startswith("2"):
            for media, content in answer.get("content", {}).items():
                yield from _body(f"Answer {status}", media, content, schemas)
    yield "</section>"


def _body(label: str, media: str, content: Described, schemas: Described) -> Iterator[str]:
    schema = _resolved(content.get("schema", {}), schemas)
    example = content.get("example", schema.get("example"))
    yield f"<h3>{label} <code>{escape(media)}</code></h3>"
    if schema.get("description"):
        yield f"<p>{_text(schema['description'])}</p>"
    required = schema.get("required", ())
    rows = [
        (name, _kind(field) + ("" if name in required else ", optional"), field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    yield from _table(("field", "type", ""), rows)
    if example is not None:
        text = example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2)
        yield f"<pre>{escape(text)}</pre>"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield "<table><thead><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead><tbody>"
        yield from ("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        yield "</tbody></table>"


def _resolved(schema: Described, schemas: Described) -> Described:
    found: Described = schemas.get(str(schema.get("$ref", "")).removeprefix(_REF), schema)
    return found


def _kind(schema: Described) -> str:
    """A type in few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return " or ".join(map(str, schema["enum"])) if "enum" in schema else kind


def _anchor(path: str, method: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip("-")


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
