"""The demonstration: replays conversations through the plugin and asks it questions. Renders nothing."""

from __future__ import annotations

from router_memory.demo.conversation import Conversation, Question, Said, read_conversations
from router_memory.demo.report import Answer, DemoReport, QuestionReport, Replayed, Summary
from router_memory.demo.run import run_demo

__all__ = [
    "Answer",
    "Conversation",
    "DemoReport",
    "Question",
    "QuestionReport",
    "Replayed",
    "Said",
    "Summary",
    "read_conversations",
    "run_demo",
]
