"""docs/mcp.md names every tool with every argument, and its snippets are JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.interfaces.mcp.clients import Agent

PAGE = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text(encoding="utf-8")


async def test_the_page_has_every_tool_with_its_arguments(ada: Agent) -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", PAGE, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", arguments)) for name, arguments in rows}
    assert documented == {name: set(tool["inputSchema"]["properties"]) for name, tool in (await ada.tools()).items()}


def test_the_snippets_are_json_that_clients_read() -> None:
    snippets = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert [set(snippet["mcpServers"]["memory"]) for snippet in snippets] == [
        {"command", "args", "env"},
        {"type", "url", "headers"},
    ]
