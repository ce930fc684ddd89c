"""What the demonstration does: replay, questions, judgement. The model is a double."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.config import load_config
from router_memory.demo import Question, read_conversations, run_demo
from router_memory.demo.configuration import default_config_file, isolated, writing_decision
from router_memory.demo.replay import steps
from router_memory.demo.run import DEFAULT_CONVERSATION, choose
from router_memory.errors import ConfigError, InvalidRequest
from router_memory.plugin.describe import describe
from router_memory.types import Reason, Scope, Status
from tests.doubles import HashingEmbedder
from tests.unit.demo.support import line, write

if TYPE_CHECKING:
    pass

SEAT = "I always take the aisle seat on planes"
DOG = "my dog Dosa eats phenobarbital tablets"


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch) -> HashingEmbedder:
    double = HashingEmbedder()
    monkeypatch.setattr("router_memory.wiring.BertEmbedder", lambda *_, **__: double)
    return double


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(
        """
global:
  stores:
    memory:
      enabled: true
      auto_store: true
      default_similarity_threshold: 0.6
      deadline_ms: 60000
      embedded: {path: operators.db}
      redis_cache: {enabled: true, address: "cache.example:6379"}
routing:
  decisions:
    - name: silent
      plugins: [{type: memory, configuration: {enabled: false}}]
    - name: wide
    - name: strict
      plugins: [{type: memory, configuration: {similarity_threshold: 1.0}}]
"""
    )
    return file


@pytest.fixture
def conversation(tmp_path: Path) -> Path:
    seat = {"question": "which seat on planes", "evidence": ["ann0"], "category": "c", "answerable": True}
    return write(tmp_path / "c.jsonl", line("ann", SEAT, questions=[seat]), line("bo", DOG))


async def test_the_evidence_is_injected_and_found(config: Path, conversation: Path) -> None:
    report = await run_demo(conversation=conversation, config=config)
    (ann, bo) = report.questions
    by_decision = {answer.decision: answer for answer in ann.answers}
    assert list(by_decision) == ["silent", "wide", "strict"]
    assert report.replay_decision == "wide"
    assert by_decision["wide"].status is Status.USED
    assert set(by_decision["wide"].evidence.values()) == {"ann0"}
    assert (by_decision["silent"].status, by_decision["silent"].reason) == (Status.DISABLED, Reason.DECISION_CONFIG)
    assert by_decision["strict"].reason is Reason.NO_RESULTS
    assert bo.question == Question(DOG)
    assert (report.summary.evidence_found, report.summary.evidence) == (1, 1)
    assert report.summary.memories == 4


async def test_nobody_sees_what_another_said(config: Path, conversation: Path) -> None:
    report = await run_demo(conversation=conversation, config=config)
    assert report.summary.leaks == 0
    assert report.summary.looked_at > 0
    assert report.questions[0].other.asked_by == "bo"
    assert not any("aisle" in hit.record.content for hit in report.questions[0].other.injected)


async def test_a_leak_would_be_seen(config: Path, conversation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judgement rests on who wrote a record, not on what the store says of its owner."""
    from router_memory.pipeline.recall import Recall

    recollect = Recall.recollect

    async def leaking(self: Recall, scope: Scope, *arguments: Any, **options: Any) -> Any:
        return await recollect(self, Scope("ann"), *arguments, **options)

    monkeypatch.setattr(Recall, "recollect", leaking)
    report = await run_demo(conversation=conversation, config=config)
    assert report.questions[0].other.foreign > 0
    assert report.summary.leaks > 0


async def test_a_single_user_is_compared_with_a_stranger(config: Path, tmp_path: Path) -> None:
    report = await run_demo(conversation=write(tmp_path / "one.jsonl", line("ann", SEAT)), config=config)
    other = report.questions[0].other
    assert other.asked_by == "somebody-else"
    assert (other.status, other.injected, other.looked_at) == (Status.MISSING, (), 0)


async def test_late_requests_are_counted_and_not_judged(
    config: Path, conversation: Path, embedder: HashingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder.backlog = 1000.0
    monkeypatch.setattr("router_memory.demo.run._PAUSE_SECONDS", 0)
    report = await run_demo(conversation=conversation, config=config)
    wide = next(answer for answer in report.questions[0].answers if answer.decision == "wide")
    assert (wide.status, wide.reason) == (Status.UNAVAILABLE, Reason.OVERLOADED)
    assert report.summary.late == report.summary.requests - sum(
        answer.reason is Reason.DECISION_CONFIG for one in report.questions for answer in one.answers
    )
    assert (report.summary.judged, report.summary.evidence, report.summary.looked_at) == (0, 0, 0)
    assert report.summary.median_latency_ms is None
    assert report.stages == {}


async def test_a_question_without_an_answer_has_no_evidence(config: Path, tmp_path: Path) -> None:
    """Data sets name messages for such questions too: those they are misleadingly near to."""
    seat = {"question": "which seat on planes", "evidence": ["ann0"], "category": "5", "answerable": False}
    report = await run_demo(
        conversation=write(tmp_path / "c.jsonl", line("ann", SEAT, questions=[seat])), config=config
    )
    wide = next(answer for answer in report.questions[0].answers if answer.decision == "wide")
    assert (wide.status, wide.evidence) == (Status.USED, {})
    assert (report.summary.evidence, report.summary.silent, report.summary.unanswerable) == (0, 0, 1)


async def test_the_operators_store_is_not_touched(config: Path, conversation: Path) -> None:
    await run_demo(conversation=conversation, config=config)
    assert not config.with_name("operators.db").exists()


async def test_nothing_is_left_behind(
    config: Path, conversation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    await run_demo(conversation=conversation, config=config)
    assert list(folder.iterdir()) == []


async def test_the_report_is_json(config: Path, conversation: Path) -> None:
    report = await run_demo(conversation=conversation, config=config)
    assert json.loads(json.dumps(describe(report), allow_nan=False))["summary"]["leaks"] == 0


async def test_progress_is_told(config: Path, conversation: Path) -> None:
    told: list[tuple[str, int, int]] = []
    await run_demo(conversation=conversation, config=config, watch=lambda *step: told.append(step))
    assert told[0] == ("loading the model", 0, 0)
    assert ("replaying", 2, 2) in told
    assert told[-1] == ("asking", 2, 2)


async def test_questions_are_at_least_one() -> None:
    with pytest.raises(InvalidRequest):
        await run_demo(questions=0)


def test_sessions_of_users_interleave_by_time_and_replies_go_with_their_request(tmp_path: Path) -> None:
    conversations = read_conversations(write(tmp_path / "c.jsonl", line("a", "one", "two"), line("b", "three", "four")))
    sent = list(steps(conversations))
    assert [step.said.text for step in sent] == ["one", "three", "two", "four"]
    assert sent[0].reply == {"role": "assistant", "content": "Noted that one"}
    assert [message["content"] for message in sent[2].history] == ["two"]


def test_a_user_who_speaks_twice_gets_no_reply_in_between(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": text, "speaker": who} for text, who in (("one", "A"), ("two", "B"))]
    first, second = steps(read_conversations(write(tmp_path / "c.json", messages)))
    assert (first.reply, second.reply) == (None, None)
    assert [message["name"] for message in second.history] == ["A", "B"]


def test_the_answer_behind_a_tool_call_is_the_reply(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "rain", "tool_call_id": "1"},
        {"role": "assistant", "content": "It rains."},
    ]
    (step,) = steps(read_conversations(write(tmp_path / "c.json", messages)))
    assert step.reply == messages[3]


@pytest.mark.parametrize("user", [0, 1])
def test_three_questions_hold_a_change_and_one_without_an_answer(user: int) -> None:
    chosen = choose(read_conversations(DEFAULT_CONVERSATION)[user], 3)
    categories = [question.category for question in chosen]
    assert len(chosen) == 3
    assert {"preference_change", "unanswerable"} <= set(categories)


def test_one_question_is_the_change_and_many_are_all_there_are() -> None:
    priya = read_conversations(DEFAULT_CONVERSATION)[0]
    assert [question.category for question in choose(priya, 1)] == ["preference_change"]
    assert choose(priya, 100) == list(priya.questions)


def test_without_questions_the_last_user_messages_are_asked(tmp_path: Path) -> None:
    (conversation,) = read_conversations(write(tmp_path / "c.jsonl", line("a", SEAT, DOG, "thanks!")))
    assert choose(conversation, 1) == [Question(DOG)]
    assert {question.text for question in choose(conversation, 5)} == {SEAT, DOG}


def test_a_file_that_stores_nothing_cannot_be_demonstrated(tmp_path: Path) -> None:
    file = tmp_path / "off.yaml"
    file.write_text("global: {stores: {memory: {enabled: true, auto_store: false}}}")
    with pytest.raises(ConfigError, match="nothing to demonstrate"):
        writing_decision(load_config(file), file)


def test_the_default_configuration_is_there() -> None:
    decisions = load_config(default_config_file()).decisions
    assert {"personalized_route", "strict_route", "no_memory_route"} <= set(decisions)


def test_a_missing_default_configuration_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("_PACKAGED", "_CHECKOUT"):
        monkeypatch.setattr(f"router_memory.demo.configuration.{name}", tmp_path / name)
    with pytest.raises(ConfigError, match="--config FILE"):
        default_config_file()


def test_isolation_overrides_store_and_cache_alone(config: Path, tmp_path: Path) -> None:
    settings = load_config(isolated(config, tmp_path / "demo.db"))
    assert settings.data_path == tmp_path / "demo.db"
    assert not settings.memory.redis_cache.enabled
    assert settings.memory.deadline_ms == 60000
    assert settings.decisions == ("silent", "wide", "strict")


def test_a_wrong_configuration_is_named(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("global: {stores: {memory: {enabeld: true}}}")
    with pytest.raises(ConfigError, match=r"wrong\.yaml.*enabeld"):
        isolated(file, tmp_path / "demo.db")
