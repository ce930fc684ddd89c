"""Small conversation files for the demonstration's tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["line", "write"]


def line(user: str, *texts: str, **more: Any) -> dict[str, Any]:
    """A conversation of one session a day, with a question and a reply of each text."""
    messages = []
    for index, text in enumerate(texts):
        day = f"2026-03-{index + 1:02}T10:00"
        messages += [
            {
                "id": f"{user}{index}",
                "role": "user",
                "speaker": user.title(),
                "created_at": f"{day}:00Z",
                "content": text,
            },
            {
                "id": f"{user}{index}a",
                "role": "assistant",
                "speaker": "assistant",
                "created_at": f"{day}:05Z",
                "content": f"Noted that {text}",
            },
        ]
        for message in messages[-2:]:
            message["session"] = index + 1  # type: ignore[assignment]
    return {"id": user, "messages": messages, **more}


def write(path: Path, *documents: object) -> Path:
    """The documents as JSON Lines."""
    path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    return path
