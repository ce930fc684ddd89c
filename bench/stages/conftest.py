"""What the stages share: a loop, a loaded model, and one user with 1,000 memories."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.stages.corpus import START, Corpus, make_corpus
from bench.stages.measure import ROUNDS, WARMUP, Stages
from bench.stages.vectors import Precomputed
from router_memory import MemoryPlugin, Outcome, Scope, Status
from router_memory.backends.bert import BertEmbedder
from router_memory.config import load_config
from router_memory.protocols import Embedder
from router_memory.types import Message
from router_memory.wiring import Assembly

CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"
DECISION = "personalized_route"
MEMORIES = 1_000


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the seed and the rounds."""
    parser.addoption("--rounds", type=int, default=ROUNDS, help="of each stage")
    parser.addoption("--seed", type=int, default=20260301, help="seed of the generated conversations")


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """Of everything that is drawn."""
    return int(pytestconfig.getoption("--seed"))


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the whole run."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@dataclass(frozen=True, slots=True)
class User:
    """A user with memories, and the plugin that reads them.

    Attributes:
        parts: What the plugin consists of.
        embedder: What it embeds queries with.
        corpus: Where the memories come from.
    """

    plugin: MemoryPlugin
    parts: Assembly
    embedder: Embedder
    scope: Scope
    corpus: Corpus

    async def request(self, index: int) -> Outcome:
        """One chat request with the question of this number."""
        outcome = await self.plugin.on_request(
            decision=DECISION,
            user_id=self.scope.user_id,
            messages=self.messages(index),
            conversation_id="now",
            now=START.replace(year=START.year + 1),
        )
        assert outcome.status is Status.USED, (outcome.reason, outcome.explain.error)
        return outcome

    def messages(self, index: int) -> list[Message]:
        """The messages of that request."""
        return [
            {"role": "system", "content": "You are a helpful assistant. Answer briefly."},
            {"role": "user", "content": "I was going through our old conversations this morning."},
            {"role": "assistant", "content": "Gladly. Which of them would you like to come back to?"},
            {"role": "user", "content": self.corpus.questions[index].text},
        ]


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The default configuration with a file of its own, and no deadline to cut a slow round short."""
    document: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    memory = document["global"]["stores"]["memory"]
    memory["embedded"]["path"] = str(tmp_path_factory.mktemp("stages") / "memory.db")
    memory["deadline_ms"] = 10_000
    return document


@pytest.fixture(scope="session")
def user(loop: asyncio.AbstractEventLoop, configuration: dict[str, Any], seed: int) -> Iterator[User]:
    """1,000 memories with the model's vectors, and torch for the queries."""
    embedder = BertEmbedder(runtime="torch")  # the floor of all ratios, whichever runtime is the default
    parts = Assembly(load_config(configuration), lambda: embedder)
    corpus = make_corpus(MEMORIES, questions=WARMUP, seed=seed)
    user = User(MemoryPlugin(parts), parts, embedder, Scope("priya"), corpus)

    async def fill() -> None:
        await user.plugin.__aenter__()
        for session in user.corpus.sessions:
            await user.plugin.remember(user.scope, session.id, session.turns)
        assert await user.plugin.count(user.scope) == MEMORIES

    loop.run_until_complete(fill())
    yield user
    loop.run_until_complete(user.plugin.close())


@pytest.fixture(scope="session")
def stages(loop: asyncio.AbstractEventLoop, user: User, pytestconfig: pytest.Config) -> Stages:
    """The floor embeds exactly what the requests have embedded: the questions without speakers' names."""
    texts = []
    for question in user.corpus.questions:
        found = loop.run_until_complete(user.plugin.recollect(user.scope, question.text, decision=DECISION))
        texts.append(found.query_text)
    return Stages(loop, user.embedder, texts, int(pytestconfig.getoption("--rounds")))


@pytest.fixture(scope="session")
def configured(stages: Stages) -> Iterator[BertEmbedder]:
    """The same model as it is run by default: by onnxruntime where that is installed."""
    embedder = BertEmbedder()
    stages.run(embedder.open())
    yield embedder
    stages.run(embedder.close())


@pytest.fixture(scope="session")
def user_without_model(user: User, stages: Stages, configuration: dict[str, Any]) -> Iterator[User]:
    """The same memories behind an embedder that has every query's vector ready."""
    real = stages.embedder
    vectors = {text: stages.run(real.embed_query(text)) for text in stages.texts}
    ready = Precomputed(vectors, dimension=real.dimension, fingerprint=real.fingerprint, runtime=real.runtime)
    parts = Assembly(load_config(configuration), lambda: ready)
    other = User(MemoryPlugin(parts), parts, ready, user.scope, user.corpus)
    stages.run(other.plugin.__aenter__())
    yield other
    stages.run(other.plugin.close())
