"""The texts of the comparison are shared out as the size says, and each question can be answered from its user's."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from bench.peers.corpus import Corpus, make_corpus, plain
from bench.peers.generating import generated
from bench.peers.settings import Size
from bench.quality.data import Conversation, Question
from router_memory.types import Turn

SEED = 7


def conversation(name: str, *, messages: int, questions: list[Question]) -> Conversation:
    turns = [
        Turn(
            role="user",
            content=f"{name} says {position}",
            speaker="Ana",
            position=position,
            created_at=datetime(2025, 1, 1, tzinfo=UTC),
        )
        for position in range(messages)
    ]
    ids: dict[tuple[str, int], tuple[str, ...]] = {
        (f"{name}/s0", position): (f"{name}:{position}",) for position in range(messages)
    }
    return Conversation(name, "made", {f"{name}/s0": turns}, ids, questions)


def question(text: str, *evidence: str, answerable: bool = True) -> Question:
    return Question(text, frozenset(evidence), "one", answerable)


def corpus(conversations: list[Conversation], size: str, *, questions: int = 100, whole: bool = False) -> Corpus:
    return make_corpus(conversations, Size.read(size), questions=questions, singles=3, whole=whole, seed=SEED)


@pytest.fixture(scope="module")
def made() -> list[Conversation]:
    return generated(SEED)


def test_the_seed_decides_everything(made: list[Conversation]) -> None:
    assert generated(SEED) == made
    assert generated(SEED + 1) != made
    assert corpus(made, "400x10") == corpus(made, "400x10")


def test_every_user_has_as_many_memories_as_the_size_says(made: list[Conversation]) -> None:
    shared = corpus(made, "400x10")
    assert shared.users == 10
    assert Counter(Counter(memory.user for memory in shared.memories).values()) == {40: 10}
    assert len({memory.id for memory in shared.memories}) == 400


def test_users_share_pieces_when_there_are_too_few(made: list[Conversation]) -> None:
    shared = corpus(made[:1], "400x10")
    assert len({memory.text for memory in shared.memories}) < len(shared.memories) == 400
    assert len({memory.id for memory in shared.memories}) == 400


def test_the_evidence_of_a_question_is_among_its_users_memories(made: list[Conversation]) -> None:
    shared = corpus(made, "400x10")
    texts: dict[str, set[str]] = {}
    for memory in shared.memories:
        texts.setdefault(memory.user, set()).add(plain(memory.text))
    assert len(shared.questions) == 100
    assert all(one.evidence and one.evidence <= texts[one.user] for one in shared.questions)


def test_a_question_whose_evidence_was_cut_off_is_not_asked() -> None:
    asked = [question("whole?", "a:0", "a:1"), question("torn?", "a:1", "a:2"), question("never?", answerable=False)]
    shared = corpus([conversation("a", messages=4, questions=asked)], "4x2")
    assert {one.text for one in shared.questions} == {"whole?"}


def test_messages_that_do_not_fill_a_piece_are_left_out() -> None:
    shared = corpus([conversation("a", messages=5, questions=[question("first?", "a:0")])], "4x2")
    assert {memory.text for memory in shared.memories} == {f"a says {place}" for place in range(4)}


def test_a_question_that_was_asked_of_another_user_comes_last() -> None:
    two = [question("first?", "a:0"), question("second?", "a:1")]
    shared = corpus([conversation("a", messages=4, questions=two)], "12x3")
    assert {one.text for one in shared.questions[:2]} == {"first?", "second?"}
    assert len(shared.questions) == 6


def test_whole_conversations_repeat_until_there_are_enough_memories() -> None:
    made = [conversation(name, messages=3, questions=[question("first?", f"{name}:0")]) for name in "ab"]
    shared = corpus(made, "8x2", whole=True)
    assert shared.users == 3
    assert len(shared.memories) == 9


def test_who_is_given_single_memories_is_asked_nothing(made: list[Conversation]) -> None:
    shared = corpus(made, "400x10")
    others = {memory.user for memory in shared.spare}
    assert len(shared.spare) == 3
    assert not others & {one.user for one in shared.questions}


def test_conversations_that_are_too_short_are_refused() -> None:
    with pytest.raises(SystemExit, match="50 messages"):
        corpus([conversation("a", messages=4, questions=[])], "100x2")


def test_a_generated_question_names_who_said_the_answer(made: list[Conversation]) -> None:
    for one in made[:5]:
        by_id = {
            one.message_ids[session, turn.position][0]: turn
            for session, turns in one.sessions.items()
            for turn in turns
        }
        for asked in one.questions:
            (evidence,) = asked.evidence
            assert str(by_id[evidence].speaker) in asked.text


@pytest.mark.parametrize("text", ["1000", "10x20", "0x0", "x", "1000x-1"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them; the command line says what is wanted
        Size.read(text)
