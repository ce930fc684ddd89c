"""Every view in both themes with a conversation behind it; also how the pictures of the documentation are made.

    ROUTER_MEMORY_PICTURES=docs/images pytest tests/interfaces/ui/test_tour.py

writes them, with the real model. Without the variable nothing is written to the tree, and a double embeds.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.interfaces.ui.conftest import VIEWS, Dashboard, Opened, process, running
from tests.interfaces.ui.serve import configuration
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = os.environ.get("ROUTER_MEMORY_PICTURES", "")
CONVERSATIONS = Path(__file__).parents[2] / "quality" / "conversations.jsonl"
USER = "ilse"
QUESTION = "Which colour did Bruno paint the cabin roof of the boat?"
WIDTH = 1200
HEIGHTS = {"overview": 1130, "decisions": 600, "playground": 1220, "memories": 700, "store": 900, "events": 560}
CHATS = (
    ("When does the choir sing in the abbey?", "personalized_route"),
    ("How many colonies does Ilse plan to keep?", "personalized_route"),
    ("Which colour did Bruno choose for the roof?", "strict_route"),
    ("What is the capital of Mongolia?", "strict_route"),
    ("Hello!", "personalized_route"),
    ("Write a limerick about rain.", "no_memory_route"),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A server that has a conversation in its store and some chats behind it."""
    folder = tmp_path_factory.mktemp("tour")
    aliases = [{"name": "assistant", "decision": "personalized_route", "upstream_model": "qwen3-8b"}]
    service = {"auth": {"modes": ["development"]}, "models": aliases}
    with (eventful if PICTURES else running)(folder, service) as url:
        dashboard = Dashboard(url)
        dashboard.ask("POST", "memory/import", user=USER, content="\n".join(lines()))
        chats(dashboard, 40 if PICTURES else 1)
        yield dashboard


@contextmanager
def eventful(folder: Path, service: dict[str, Any]) -> Iterator[str]:
    """`router-memory serve` with the model and two workers, after a reload, a refused one and a worker's end."""
    file, port = folder / "config.yaml", free_port()
    content = configuration(folder, service)
    file.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-c", "from router_memory.cli import main; main()", "serve", "--config", str(file)]
    with process([*command, "--port", str(port), "--workers", "2"], folder, port) as (_, url):
        dashboard = Dashboard(url)
        complete(dashboard)
        content["global"]["stores"]["memory"]["deadline_ms"] = 150
        file.write_text(yaml.safe_dump(content))
        dashboard.ask("POST", "config/reload")
        content["global"]["stores"]["memory"]["deadline"] = 150
        file.write_text(yaml.safe_dump(content))
        with suppress(httpx.HTTPStatusError):
            dashboard.ask("POST", "config/reload")
        os.kill(dashboard.ask("GET", "state")["workers"][1]["pid"], signal.SIGKILL)
        complete(dashboard)
        yield url


def complete(dashboard: Dashboard) -> None:
    """Waits until every worker serves."""
    while not all(worker["ready"] for worker in dashboard.ask("GET", "state")["workers"]):
        time.sleep(0.5)


def lines() -> Iterator[str]:
    """The conversation, in the form of an export."""
    conversation = json.loads(CONVERSATIONS.read_text(encoding="utf-8").splitlines()[0])
    for number, said in enumerate(conversation["messages"]):
        yield json.dumps(
            {
                "format": "router-memory/1",
                "id": f"{number:032x}",
                "user_id": USER,
                "content": said["content"],
                "type": "episodic",
                "role": said["role"],
                "speaker": said["speaker"],
                "conversation_id": f"session-{said['session']}",
                "position": int(said["id"].split("-")[1]),
                "created_at": said["created_at"],
            }
        )


def chats(dashboard: Dashboard, rounds: int) -> None:
    """Some chats, the same ones again and again, so that most are answered by the cache."""
    for number in range(rounds):
        for text, decision in CHATS:
            dashboard.chat(USER, f"{text} ({number})" if number % 3 == 0 else text, decision)
        dashboard.chat("guest", f"Please book table {number} for two.", reply=f"Table {number} is booked.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_tour_of_every_view(told: Dashboard, opened: Opened, tmp_path: Path, scheme: str) -> None:
    page = opened(told, width=WIDTH, color_scheme=scheme)
    for view in VIEWS:
        page.get_by_role("navigation").get_by_role("link", name=view.capitalize()).click()
        page.get_by_role("heading", level=1, name=view.capitalize()).wait_for()
        arrive(page, told, view)
        taken = taken_by(page, view)
        assert taken.startswith(b"\x89PNG")
        (tmp_path / f"{view}.png").write_bytes(taken)
        if PICTURES and (scheme == "light" or view == "playground"):
            name = f"dashboard-{view}{'' if scheme == 'light' else '-dark'}.png"
            (Path(PICTURES) / name).write_bytes(small(taken))


def small(picture: bytes) -> bytes:
    """The picture with a palette: a third of the size."""
    from PIL import Image  # of matplotlib, which only who makes pictures needs here

    written = io.BytesIO()
    drawn = Image.open(io.BytesIO(picture)).convert("RGB")
    palette = drawn.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(written, "PNG", optimize=True)
    return written.getvalue()


def arrive(page: Page, dashboard: Dashboard, view: str) -> None:
    """Does in a view what there is to do, and waits for what it shows."""
    if view == "overview":
        page.get_by_role("rowheader", name="embed", exact=True).wait_for()
        for _ in range(12 if PICTURES else 0):  # curves need some answers
            chats(dashboard, 2)
            with page.expect_response("**/v1/state"):
                pass
    elif view == "decisions":
        page.get_by_role("table", name="The policy of each decision").wait_for()
    elif view == "playground":
        page.get_by_label("User").fill(USER)
        page.get_by_label("Query").fill(QUESTION)
        page.get_by_role("button", name="Search").click()
        page.locator("article.hit").first.wait_for()
    elif view == "memories":
        page.locator(".memory").first.wait_for()
    elif view == "store":
        page.get_by_role("row", name="integrity").wait_for()
    else:
        page.get_by_role("listitem").filter(has_text="started").last.wait_for()


def taken_by(page: Page, view: str) -> bytes:
    """A picture of the view from its top, without the paths of this machine."""
    page.evaluate(
        """() => {
            const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walk.nextNode()) {
                walk.currentNode.data = walk.currentNode.data
                    .replaceAll(/\\/[^ ,]*\\/(?=memory\\.db)/g, "/var/lib/router-memory/")
                    .replaceAll(/\\/[^ ,]*\\/(?=config\\.yaml)/g, "/etc/router-memory/")
                    .replaceAll(/\\/[^ ,]*\\/(?=router-memory\\/models)/g, "/opt/");
            }
            document.activeElement.blur();
            scrollTo(0, 0);
        }"""
    )
    page.set_viewport_size({"width": WIDTH, "height": HEIGHTS[view]})
    return page.screenshot(animations="disabled")
