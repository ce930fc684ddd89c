"""Whole runs on real stores, with an embedder that needs no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from router_memory import MemoryPlugin, Scope
from router_memory.config import load_config
from router_memory.errors import InvalidRequest
from router_memory.tuning import TuneReport, run_tune
from router_memory.tuning.run import Options
from router_memory.types import CutoffRule
from tests.doubles import HashingEmbedder
from tests.unit.demo.support import line, write

CONFIG = """
global:
  stores:
    memory: {enabled: true, auto_store: true, hybrid_search: true, embedded: {path: memory.db}}
routing:
  decisions:
    - name: wide
      plugins:
        - type: memory
          configuration: {retrieval_limit: 4, similarity_threshold: 0.655, adaptive_threshold: true}
    - name: "off"
      plugins: [{type: memory, configuration: {enabled: false}}]
"""
ANN = ("I always take the aisle seat on planes", "my dog is called Dosa", "we moved to Leeds in April")
BO = ("my dog eats tablets in the morning", "the marathon is in October", "the dentist is in Porto")


def question(text: str, *evidence: str, answerable: bool | None = True) -> dict[str, Any]:
    return {"question": text, "evidence": list(evidence), "category": "c", "answerable": answerable}


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router_memory.wiring.BertEmbedder", lambda *_, **__: HashingEmbedder())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def conversations(tmp_path: Path) -> Path:
    mine = [
        question("which seat do I take on planes", "ann0"),
        question("what is my dog called", "ann1"),
        question("when is the dentist", answerable=False),
        question("nobody says what answers this", answerable=None),
        question("thanks", "ann0"),
    ]
    return write(
        tmp_path / "c.jsonl",
        line("ann", *ANN, questions=mine),
        line("bo", *BO, questions=[question("when is the marathon", "bo1")]),
    )


def at(report: TuneReport, threshold: float, rule: CutoffRule) -> Any:
    return next(one for one in report.points if (one.threshold, one.rule) == (threshold, rule))


async def test_labelled_conversations(config: Path, conversations: Path) -> None:
    report = await run_tune(conversations, "wide", config=config)
    assert report.questions == {"answerable": 3, "unanswerable": 1, "others": 3}
    assert (report.form, report.users, report.memories, report.limit) == ("conversations", 2, 12, 4)
    assert report.rules == (CutoffRule.FIXED, CutoffRule.RELATIVE)
    assert (report.current.threshold, report.current.rule) == (0.655, CutoffRule.RELATIVE)
    everything = at(report, 0.01, CutoffRule.FIXED)
    assert (everything.recall, everything.silence, everything.memories) == (1.0, 0.0, 4.0)
    assert report.objective == "f1"
    assert report.chosen is not None
    assert report.chosen.f1 == max(point.f1 or 0.0 for point in report.points)
    assert report.chosen.f1 > (everything.f1 or 0.0)
    assert any("2 questions are left out" in note for note in report.notes)
    assert not (config.parent / "memory.db").exists()


async def test_a_figure_is_what_requests_get(config: Path, conversations: Path) -> None:
    """The same conversations through the plugin, a request for each question, as the chosen YAML has it."""
    report = await run_tune(conversations, "wide", config=config, options=Options(objective="recall=0.6"))
    assert report.chosen is not None
    pasted = config.with_name("pasted.yaml")
    own = CONFIG.partition("routing:")[0].replace("enabled: true", "enabled: true, deadline_ms: 60000", 1)
    pasted.write_text(own + report.yaml.partition("\nrouting:")[2].join(["routing:", ""]), encoding="utf-8")
    assert load_config(pasted).policy("wide").recall.threshold == report.chosen.threshold
    tokens, right, hits = 0, 0, 0
    async with MemoryPlugin.open(pasted) as memory:
        from router_memory.demo import read_conversations
        from router_memory.tuning.material import _load

        loaded = read_conversations(conversations)
        await _load(memory, loaded, lambda *_: None)
        for conversation in loaded:
            for asked in conversation.questions:
                if asked.answerable is None or asked.text == "thanks":
                    continue
                outcome = await memory.on_request(
                    decision="wide", user_id=conversation.user, messages=[{"role": "user", "content": asked.text}]
                )
                tokens += outcome.explain.injected_tokens
                if asked.answerable:
                    places = {
                        (said.session, said.position) for said in conversation.messages if said.id in asked.wanted
                    }
                    found = {
                        ((hit.record.conversation_id or "").rpartition("/s")[2], hit.record.position)
                        for hit in outcome.memories
                    }
                    hits += len(outcome.memories)
                    right += len(places & found)
    assert report.chosen.tokens == pytest.approx(tokens / 4)
    assert report.chosen.precision == pytest.approx(right / hits)
    assert report.chosen.recall == pytest.approx(right / 3)


async def test_two_runs_are_equal(config: Path, conversations: Path) -> None:
    options = Options(sample=2, seed=3)
    first = await run_tune(conversations, "wide", config=config, options=options)
    assert first == await run_tune(conversations, "wide", config=config, options=options)
    assert sum(number for kind, number in first.questions.items() if kind != "others") == 2


async def test_one_conversation_has_no_others(config: Path, tmp_path: Path) -> None:
    alone = write(tmp_path / "one.jsonl", line("ann", *ANN, questions=[question("which seat on planes", "ann0")]))
    report = await run_tune(alone, "wide", config=config)
    assert report.questions == {"answerable": 1}
    assert report.current.silence is None
    assert any("one conversation" in note for note in report.notes)


async def test_evidence_that_is_not_stored_is_told(config: Path, tmp_path: Path) -> None:
    """It lowers recall as it would in service."""
    said = line("ann", "thanks", *ANN, questions=[question("which seat on planes", "ann0", "ann1")])
    report = await run_tune(write(tmp_path / "one.jsonl", said), "wide", config=config)
    assert any("1 messages that hold evidence are not stored" in note for note in report.notes)
    assert at(report, 0.01, CutoffRule.FIXED).recall == 0.5


@pytest.fixture
async def stored(config: Path) -> dict[str, str]:
    """Ids by content, in the configured store."""
    async with MemoryPlugin.open(config) as memory:
        pairs = [("ann", text) for text in ANN] + [("bo", text) for text in BO]
        return {text: (await memory.add(Scope(user), text)).id for user, text in pairs}


async def test_labelled_traffic(config: Path, tmp_path: Path, stored: dict[str, str]) -> None:
    data = write(
        tmp_path / "t.jsonl",
        {"user_id": "ann", "query": "which seat do I take on planes", "relevant": [stored[ANN[0]]]},
        {"user_id": "ann", "query": "hello", "relevant": []},
        {"user_id": "bo", "query": "who repairs the boiler", "relevant": [], "at": 1},
    )
    report = await run_tune(data, "wide", config=config)
    assert report.questions == {"answerable": 1, "unanswerable": 1}
    assert (report.form, report.memories) == ("labelled traffic", 6)
    assert at(report, 0.01, CutoffRule.FIXED).recall == 1.0
    assert any("1 queries only greet" in note for note in report.notes)
    assert any("mean nothing here: at" in note for note in report.notes)


async def test_the_store_is_only_read(config: Path, tmp_path: Path, stored: dict[str, str]) -> None:
    data = write(
        tmp_path / "t.jsonl", {"user_id": "ann", "query": "seat on planes"}, {"user_id": "new", "query": "dog"}
    )
    report = await run_tune(data, "wide", config=config)
    async with MemoryPlugin.open(config) as memory:
        record = await memory.get(Scope("ann"), stored[ANN[0]])
        assert (await memory.stats()).memories == 6
    assert record is not None
    assert record.access_count == 0
    assert any("1 of the users have no memories" in note for note in report.notes)


async def test_traffic_without_labels_chooses_only_what_it_can(
    config: Path, tmp_path: Path, stored: dict[str, str]
) -> None:
    del stored
    data = write(
        tmp_path / "t.jsonl",
        {"user_id": "ann", "query": "which seat do I take on planes"},
        {"user_id": "bo", "query": "when is the marathon"},
    )
    plain = await run_tune(data, "wide", config=config)
    assert (plain.objective, plain.chosen, plain.yaml, plain.unmet) == ("", None, "", "")
    assert plain.current.silence is None
    budget = await run_tune(data, "wide", config=config, options=Options(objective="tokens=100"))
    assert budget.chosen is not None
    assert 0 < budget.chosen.tokens <= 100
    others = await run_tune(data, "wide", config=config, options=Options(ask_others=True))
    assert others.questions == {"others": 2, "unlabelled": 2}
    assert others.objective == "balanced"
    assert others.chosen is not None
    assert (others.chosen.injected, others.chosen.silence_others) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("lines", "decision", "options", "wrong"),
    [
        ([{"user_id": "ann", "query": "q"}], "nope", Options(), "no decision 'nope'"),
        ([{"user_id": "ann", "query": "q"}], "off", Options(), "reads no memory"),
        ([{"user_id": "ann", "query": "q"}], "wide", Options(limit=0), "limit must be a whole number"),
        ([{"user_id": "ann", "query": "q"}], "wide", Options(sample=0), "--sample must be at least 1"),
        ([{"user_id": "ann", "query": "q"}], "wide", Options(objective="best"), "--objective must be"),
        (
            [{"user_id": "ann", "query": "q"}],
            "wide",
            Options(objective="f1"),
            "f1 needs data that say what is relevant",
        ),
        ([{"user_id": "ann", "query": "q"}], "wide", Options(objective="balanced"), "--ask-others"),
        ([{"user_id": "ann", "query": "q"}], "wide", Options(ask_others=True), "two users or more"),
        ([{"user_id": "ann", "query": "hi"}], "wide", Options(), "every query only greets"),
        (
            [{"user_id": "ann", "query": "q", "relevant": ["0" * 32]}],
            "wide",
            Options(),
            "line 1: this user has no memory",
        ),
        (
            [line("ann", *ANN, questions=[question("which seat", "ann0")])],
            "wide",
            Options(ask_others=True),
            "--ask-others is for traffic",
        ),
        (
            [{"user_id": "ann", "query": "q", "project": "p"}, {"user_id": "bo", "query": "q"}],
            "wide",
            Options(ask_others=True),
            "two users or more, in one project",
        ),
        ([line("ann", *ANN)], "wide", Options(), "no question says what answers it"),
        ([{"question": "?"}], "wide", Options(), "line 1: has no 'user_id'"),
    ],
)
async def test_what_is_wrong_is_said(
    config: Path,
    tmp_path: Path,
    stored: dict[str, str],
    lines: list[Any],
    decision: str,
    options: Options,
    wrong: str,
) -> None:
    del stored
    with pytest.raises(InvalidRequest) as caught:
        await run_tune(write(tmp_path / "t.jsonl", *lines), decision, config=config, options=options)
    assert wrong in str(caught.value)


async def test_a_strangers_question_searches_its_own_project(config: Path, tmp_path: Path) -> None:
    """The whole memory of a user has more that is like a question by chance."""
    said = {("ann", "work"): "the boiler is old", ("bo", "work"): BO[1], ("bo", "home"): ANN[0], ("cy", None): BO[2]}
    async with MemoryPlugin.open(config) as memory:
        for (user, project), text in said.items():
            await memory.add(Scope(user, project), text)
    data = write(
        tmp_path / "t.jsonl",
        {"user_id": "ann", "project": "work", "query": ANN[0]},
        {"user_id": "bo", "project": "work", "query": BO[1]},
        {"user_id": "bo", "project": "home", "query": ANN[0]},
    )
    report = await run_tune(data, "wide", config=config, options=Options(ask_others=True))
    assert report.questions == {"others": 2, "unlabelled": 3}
    assert (report.users, report.memories) == (2, 3)
    assert at(report, 0.9, CutoffRule.FIXED).silence_others == 1.0
    assert any("1 queries are not asked of another user's memory" in note for note in report.notes)


@pytest.mark.parametrize("more", [{}, {"relevant": ["0" * 32]}, {"project": "p"}])
async def test_a_store_without_any_of_the_users_is_named(
    config: Path, tmp_path: Path, stored: dict[str, str], more: dict[str, Any]
) -> None:
    user = "ann" if "project" in more else "nobody"
    data = write(tmp_path / "t.jsonl", {"user_id": user, "query": "which seat", **more})
    with pytest.raises(InvalidRequest, match="none of its users has any memories in the store") as caught:
        await run_tune(data, "wide", config=config)
    assert f"embedded at {config.parent / 'memory.db'}" in caught.value.message
    assert caught.value.field == "data"
    assert stored


async def test_conversations_of_which_nothing_is_stored_are_refused(config: Path, tmp_path: Path) -> None:
    said = {"id": "ann", "messages": [{"id": "m", "role": "user", "content": "thanks"}]}
    data = write(tmp_path / "c.jsonl", {**said, "questions": [question("which seat", "m")]})
    with pytest.raises(InvalidRequest, match="none of the messages is stored"):
        await run_tune(data, "wide", config=config)


async def test_where_nothing_is_ever_injected_nothing_is_recommended(
    config: Path, tmp_path: Path, stored: dict[str, str]
) -> None:
    blocking = CONFIG.replace(
        "adaptive_threshold: true", "adaptive_threshold: true, reflection: {block_patterns: ['.']}"
    )
    blocked = config.with_name("blocked.yaml")
    blocked.write_text(blocking, encoding="utf-8")
    query = {"user_id": "ann", "query": "which seat do I take on planes"}
    for name, more, options in (
        ("plain", {}, Options()),
        ("budget", {}, Options(objective="tokens=100")),
        ("labelled", {"relevant": [stored[ANN[0]]]}, Options()),
    ):
        report = await run_tune(write(tmp_path / name, {**query, **more}), "wide", config=blocked, options=options)
        assert (report.chosen, report.yaml) == (None, "")
        assert report.unmet == "nothing can be recommended: no threshold injects anything"


async def test_no_user_content_is_in_the_report(config: Path, tmp_path: Path, stored: dict[str, str]) -> None:
    from router_memory.plugin.describe import describe

    data = write(
        tmp_path / "t.jsonl",
        {"user_id": "ann", "query": "which seat do I take on planes", "relevant": [stored[ANN[0]]]},
        {"user_id": "bo", "query": "when is the marathon", "relevant": [stored[BO[1]]]},
    )
    report = await run_tune(data, "wide", config=config, options=Options(ask_others=True))
    text = json.dumps(describe(report))
    assert not [word for word in ("aisle", "seat", "marathon", '"ann"', stored[ANN[0]]) if word in text]
