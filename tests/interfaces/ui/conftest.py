"""A server process, a headless Chromium, and pages that tell on themselves.

These tests are synchronous: Playwright's own loop runs beneath them, so nothing asynchronous may stand in this folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.servers.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
ADMIN_KEY = "the-admin-key-of-the-tests"
USER_KEY = "the-key-of-ana-alone"
VIEWS = ("overview", "decisions", "playground", "memories", "store", "events")

_ROOT = Path(__file__).parents[3]
_START_SECONDS = 60.0
_PATIENCE_MS = 30_000
"""How long a page may take on a busy machine; nothing waits that long where all is well."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A server with a dashboard.

    Attributes:
        url: Where it listens, without a slash at the end.
        key: Of its operators; empty in development mode.
    """

    url: str
    key: str = ""

    def ask(self, method: str, path: str, *, user: str = "", **arguments: Any) -> Any:
        """What its API answers, past the page: the truth the page has to show."""
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        if user:
            headers["x-authz-user-id"] = user
        answer = httpx.request(method, f"{self.url}/v1/{path}", headers=headers, timeout=30, **arguments)
        answer.raise_for_status()
        return answer.json()

    def add(self, user: str, *contents: str, **fields: Any) -> list[str]:
        """Stores memories; gives their ids."""
        return [self.ask("POST", "memory", user=user, json={"content": each, **fields})["id"] for each in contents]

    def contents(self, user: str) -> set[str]:
        """What the store holds of a user."""
        return {each["content"] for each in self.ask("GET", "memory", user=user, params={"limit": 100})["memories"]}

    def chat(self, user: str, text: str, decision: str = "personalized_route", *, reply: str = "") -> None:
        """A chat request as a router's plugin sends it, and its reply, which is stored before this returns."""
        body = {"decision": decision, "messages": [{"role": "user", "content": text}]}
        outcome = self.ask("POST", "plugin/request", user=user, json=body)
        if reply:
            answer = {"ticket": outcome["ticket"], "reply": reply, "wait": True}
            self.ask("POST", "plugin/response", user=user, json=answer)


@dataclass(slots=True)
class Conduct:
    """What a page did that it should not.

    Attributes:
        console: Errors and warnings it wrote, refusals by its policy among them, and exceptions nobody caught.
        foreign: Requests to somewhere else.
    """

    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def forgive(self, part: str) -> None:
        """Takes out what a test brought about itself: the browser writes down every answer that is an error."""
        self.console = [line for line in self.console if part not in line]


@contextmanager
def running(folder: Path, service: dict[str, Any]) -> Iterator[str]:
    """A server process with a double for the model; gives its URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.interfaces.ui.serve", str(folder), str(port), json.dumps(service)]
    with process(command, folder, port) as (_, url):
        yield url


@contextmanager
def process(command: Sequence[str], folder: Path, port: int) -> Iterator[tuple[int, str]]:
    """A process that serves on a port; gives its id and its URL once it answers."""
    log = folder / "server.log"
    with log.open("wb") as written:
        started = subprocess.Popen(command, cwd=_ROOT, stdout=written, stderr=written)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(started, url, log)
        yield started.pid, url
    finally:
        started.terminate()
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _wait(started: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and started.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


@pytest.fixture(scope="package")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A server in development mode: nobody signs in."""
    with running(tmp_path_factory.mktemp("ui"), {"auth": {"modes": ["development"]}}) as url:
        yield Dashboard(url)


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A server that knows an operator's key and one of the user ana."""
    folder = tmp_path_factory.mktemp("ui-guarded")
    keys = folder / "keys.json"
    keys.write_text(
        json.dumps([{"key_sha256": sha256(USER_KEY.encode()).hexdigest(), "users": ["ana"], "name": "ana"}])
    )
    keys.chmod(0o600)
    auth = {"modes": ["api_key"], "admin_key": ADMIN_KEY, "api_keys_file": str(keys)}
    with running(folder, {"auth": auth}) as url:
        yield Dashboard(url, ADMIN_KEY)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium; without one its tests are skipped, or fail under ROUTER_MEMORY_REQUIRE_BROWSER."""
    unseen = "the dashboard is NOT tested in a browser"
    sync_api = pytest.importorskip("playwright.sync_api", reason=f"playwright is not installed: {unseen}")
    found = shutil.which("chromium") or CHROMIUM
    if not Path(found).exists():
        if os.environ.get("ROUTER_MEMORY_REQUIRE_BROWSER"):
            pytest.fail(f"ROUTER_MEMORY_REQUIRE_BROWSER promises one, but there is no {CHROMIUM}", pytrace=False)
        pytest.skip(f"there is no {CHROMIUM}: {unseen}")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield launched
        launched.close()


Opened = Callable[..., "Page"]


@pytest.fixture
def conduct() -> Conduct:
    """What the pages of this test did."""
    return Conduct()


@pytest.fixture
def opened(browser: Browser, conduct: Conduct) -> Iterator[Opened]:
    """Opens the dashboard: ``opened(dashboard, "memories", width=360)``. At the end the pages must have behaved."""
    contexts = []

    def open_(
        dashboard: Dashboard, view: str = "overview", *, width: int = 1280, scripts: Sequence[str] = (), **options: Any
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 860}, **options)
        contexts.append(context)
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        for script in scripts:
            page.add_init_script(script)
        page.on("console", lambda said: _note(conduct, said.type, said.text))
        page.on("pageerror", lambda error: conduct.console.append(f"exception: {error}"))
        page.on("request", lambda asked: _watch(conduct, dashboard, asked.url))
        page.goto(f"{dashboard.url}/ui/#/{view}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert conduct.console == []
    assert conduct.foreign == []


def _note(conduct: Conduct, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        conduct.console.append(f"{kind}: {text}")


def _watch(conduct: Conduct, dashboard: Dashboard, url: str) -> None:
    if not url.startswith(f"{dashboard.url}/"):
        conduct.foreign.append(url)
