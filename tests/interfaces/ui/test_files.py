"""What is served at /ui, and what the files may hold. No browser is needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from router_memory.interfaces.http import errors, ui
from router_memory.interfaces.http.ui.assets import assets


@pytest.fixture
def app() -> FastAPI:
    served = FastAPI()
    errors.install(served)
    served.include_router(ui.router)
    return served


def asked(app: FastAPI, path: str, method: str = "GET", **headers: str) -> Any:  # of the client that Starlette found
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return TestClient(app).request(method, path, headers=sent, follow_redirects=False)


def test_the_address_without_a_slash_leads_to_the_folder_below_any_prefix(app: FastAPI) -> None:
    answer = asked(app, "/ui")
    assert (answer.status_code, answer.headers["location"]) == (307, "ui/")


def test_the_page_lets_no_script_style_or_request_in_but_its_own(app: FastAPI) -> None:
    answer = asked(app, "/ui/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", sorted(assets()))
def test_every_file_comes_with_its_type_and_is_not_sent_twice(app: FastAPI, path: str) -> None:
    first = asked(app, f"/ui/{path}")
    assert first.status_code == 200
    assert first.headers["content-type"].split(";")[0] == assets()[path].media_type.split(";")[0]
    again = asked(app, f"/ui/{path}", if_none_match=f'"another", W/{first.headers["etag"]}')
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


def test_a_head_request_gets_the_headers_alone(app: FastAPI) -> None:
    answer = asked(app, "/ui/js/main.js", method="HEAD")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["js/none.js", "../__init__.py", "..%2froutes.py", "js/", "static/index.html", "%00"])
def test_nothing_else_can_be_asked_for(app: FastAPI, path: str) -> None:
    answer = asked(app, f"/ui/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", sorted(path for path in assets() if path.endswith((".js", ".html", ".css"))))
def test_no_file_turns_text_into_markup_or_names_another_place(path: str) -> None:
    text = assets()[path].body.decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text)
    assert not re.search(r"\beval\b|new Function|DOMParser", text)
    assert not re.search(r"\son\w+=|<style|style=|javascript:", text)
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", re.sub(r"(?m)//\s.*$|^\s*\*.*$", "", text))
    assert [found for found in addresses if found != "http://www.w3.org/2000/svg"] == []


@pytest.mark.parametrize("path", sorted(path for path in assets() if path.endswith(".js")))
def test_modules_import_only_what_is_served(path: str) -> None:
    folder = path.rpartition("/")[0]
    for wanted in re.findall(r'from "(.+?)"', assets()[path].body.decode()):
        parts = folder.split("/")
        for step in wanted.split("/"):
            if step == "..":
                parts.pop()
            elif step != ".":
                parts.append(step)
        assert "/".join(parts) in assets()
