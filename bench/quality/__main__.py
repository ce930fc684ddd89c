"""Measures retrieval quality: `python -m bench.quality --data FILE... [--config FILE] [--json OUT]`.

Each conversation becomes one user's memory through the write path; each question goes through
`search`. Questions without evidence and unanswerable ones are left out of the ranking figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import yaml

from bench.environment import environment
from bench.quality.data import Conversation, load
from bench.quality.metrics import Injection, confidence, injection_figures, ranking_figures
from router_memory import MemoryPlugin, Scope
from router_memory.types import Hit

SKIPPED_CATEGORY = "5"
"""LoCoMo's adversarial questions."""


def main() -> None:
    """Runs the benchmark."""
    arguments = _arguments()
    document = asyncio.run(measure(arguments))
    text = json.dumps(document, indent=2)
    if arguments.json:
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    for figures in document["sets"]:
        shown = "  ".join(f"{name} {figures[name]:.3f}" for name in ("R@5", "R@10", "nDCG@10", "MRR"))
        injection = figures["injection"]
        print(f"{figures['set']:<28} {shown}  F1mix {injection['F1mix']:.3f}  BA {injection['BA']:.3f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--data", nargs="+", required=True, type=Path, help="files in the JSONL form")
    parser.add_argument("--config", default="config/config.yaml", type=Path)
    parser.add_argument("--json", help="where to write the figures")
    parser.add_argument("--roles", nargs="*", help="store only messages of these roles")
    parser.add_argument("--mode", help="in place of the configured hybrid mode: dense, rerank, weighted, rrf")
    parser.add_argument("--seed", type=int, default=20260301)
    return parser.parse_args()


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Loads each file into a store of its own and asks its questions; the document that is written as JSON."""
    roles = frozenset(arguments.roles) if arguments.roles else None
    sets = []
    for path in arguments.data:
        conversations = list(load(path, roles=roles))
        with tempfile.TemporaryDirectory() as folder:
            async with MemoryPlugin.open(configuration(arguments.config, Path(folder))) as memory:
                sets.append(await _measure_set(memory, _name(path, arguments), conversations, arguments))
    return {
        "benchmark": "quality",
        "command": _command(arguments),
        "environment": environment(arguments.seed),
        "sets": sets,
    }


def _name(path: Path, arguments: argparse.Namespace) -> str:
    return f"{path.stem} ({', '.join(arguments.roles)} messages)" if arguments.roles else path.stem


def _command(arguments: argparse.Namespace) -> str:
    files = " ".join(path.name for path in arguments.data)
    roles = f" --roles {' '.join(arguments.roles)}" if arguments.roles else ""
    mode = f" --mode {arguments.mode}" if arguments.mode else ""
    return f"python -m bench.quality --data {files} --config {arguments.config}{roles}{mode}"


def configuration(path: Path, folder: Path) -> dict[str, Any]:
    """The configuration with its data in a folder of their own."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    memory = document.setdefault("global", {}).setdefault("stores", {}).setdefault("memory", {})
    memory.setdefault("embedded", {})["path"] = str(folder / "memory.db")
    return document


async def _measure_set(
    memory: MemoryPlugin, name: str, conversations: Sequence[Conversation], arguments: argparse.Namespace
) -> dict[str, Any]:
    began = perf_counter()
    for conversation in conversations:
        for session, turns in conversation.sessions.items():
            await memory.remember(Scope(conversation.id), session, turns)
    loaded = perf_counter() - began
    rows: list[tuple[str, dict[str, float]]] = []
    positives: list[Injection] = []
    negatives: list[Injection] = []
    unanswerable: list[Injection] = []
    milliseconds: list[float] = []
    for conversation, other in zip(conversations, [*conversations[1:], conversations[0]], strict=True):
        for question in conversation.questions:
            if not question.answerable or question.category == SKIPPED_CATEGORY:
                injected = await _injected(memory, conversation, question.text, arguments)
                unanswerable.append(Injection(len(injected), 0, 0))
                continue
            if not question.evidence:
                continue
            start = perf_counter()
            found = await memory.recollect(
                Scope(conversation.id), question.text, limit=10, threshold=0.0, mode=arguments.mode
            )
            milliseconds.append((perf_counter() - start) * 1000)
            rows.append((question.category, ranking_figures(_ids(found.hits, conversation), question.evidence)))
            right = _ids(await _injected(memory, conversation, question.text, arguments), conversation)
            positives.append(Injection(len(right), len(question.evidence.intersection(right)), len(question.evidence)))
            wrong = await _injected(memory, other, question.text, arguments)
            negatives.append(Injection(len(wrong), 0, 0))
    stats = await memory.stats()
    return {
        "set": name,
        **_means([row for _, row in rows]),
        "questions": len(rows),
        "confidence_95": {
            key: confidence([row[key] for _, row in rows], arguments.seed) for key in ("R@10", "nDCG@10")
        },
        "categories": {
            category: _means([row for kind, row in rows if kind == category])
            for category in sorted({kind for kind, _ in rows})
        },
        "injection": injection_figures(positives, negatives)
        | {"abstention": sum(one.injected == 0 for one in unanswerable) / max(len(unanswerable), 1)},
        "ms_per_query_median": statistics.median(milliseconds),
        "memories": stats.memories,
        "bytes_per_memory": stats.bytes / max(stats.memories, 1),
        "seconds_to_load": loaded,
    }


async def _injected(
    memory: MemoryPlugin, conversation: Conversation, text: str, arguments: argparse.Namespace
) -> Sequence[Hit]:
    """What the default configuration would inject: threshold 0.70, top 5, its own cut-off rule."""
    found = await memory.recollect(Scope(conversation.id), text, limit=5, threshold=0.70, mode=arguments.mode)
    return found.hits


def _ids(hits: Sequence[Hit], conversation: Conversation) -> list[str]:
    places = dict.fromkeys((hit.record.conversation_id or "", hit.record.position) for hit in hits)
    return [conversation.message_ids[place] for place in places]


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.fmean(row[key] for row in rows) for key in rows[0]} | {"n": len(rows)} if rows else {}


if __name__ == "__main__":
    main()
