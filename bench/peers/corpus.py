"""Who remembers what, and what is asked of whom: conversations cut to the asked numbers of memories and users."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from bench.peers.drivers.serving import Memory
from bench.peers.settings import Size
from bench.quality.data import Conversation
from router_memory.types import Turn

__all__ = ["Asked", "Corpus", "make_corpus", "plain"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to one user's memory, and the texts that answer it, as `plain` writes them."""

    user: str
    text: str
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a size is measured on.

    Attributes:
        memories: User by user, in the order in which they were said.
        questions: Each one is asked once; fewer than wanted when the conversations have no more.
        spare: Messages of a user who is asked nothing, to be added one at a time.
        users: How many.
    """

    memories: tuple[Memory, ...]
    questions: tuple[Asked, ...]
    spare: tuple[Memory, ...]
    users: int


@dataclass(frozen=True, slots=True)
class _Share:
    """What one user remembers: messages with their ids in the data, and the questions that they alone answer."""

    messages: tuple[tuple[str, Memory], ...]
    questions: tuple[tuple[str, frozenset[str]], ...]


def plain(text: str) -> str:
    """A text without what a store may change about it: its blanks."""
    return " ".join(text.split())


def make_corpus(
    conversations: Sequence[Conversation], size: Size, *, questions: int, singles: int, whole: bool, seed: int
) -> Corpus:
    """Gives each user a piece of a conversation, and asks what stands in it.

    All pieces are as long; a question counts where all of its evidence is in the piece. With fewer pieces than users
    several users remember the same.

    Args:
        conversations: Where the texts are from.
        size: How many memories and users; with `whole` the number of users follows from that of memories.
        questions: How many are asked at most, those of different pieces and users in turn.
        singles: How many messages are spare.
        whole: Whether a piece is a whole conversation.
        seed: Of what is drawn.

    Raises:
        SystemExit: No conversation is long enough.
    """
    rng = random.Random(seed)
    per_user = size.memories // size.users
    pieces = [piece for one in conversations for piece in _pieces(one, None if whole else per_user)]
    if not pieces:
        raise SystemExit(f"no conversation of the data has {per_user} messages, as {size} wants of each user")
    rng.shuffle(pieces)
    shares = list(_shared(pieces, size, whole=whole))
    memories = [
        _of_user(memory, user, place)
        for user, share in enumerate(shares)
        for place, (_, memory) in enumerate(share.messages)
    ]
    asked = _questions(shares, rng)
    spare = [memory for piece in reversed(pieces) for _, memory in piece.messages]
    alone = [_of_user(memory, len(shares), place) for place, memory in enumerate(islice(cycle(spare), singles))]
    return Corpus(tuple(memories), tuple(asked[:questions]), tuple(alone), len(shares))


def _pieces(conversation: Conversation, length: int | None) -> list[_Share]:
    """Those of a conversation, of `length` messages each; the rest is left out."""
    said = [
        (conversation.message_ids[session, turn.position][0], _memory(session, turn))
        for session, turns in conversation.sessions.items()
        for turn in turns
    ]
    step = length or len(said)
    return [_share(conversation, said[first : first + step]) for first in range(0, len(said) - step + 1, step)]


def _share(conversation: Conversation, messages: Sequence[tuple[str, Memory]]) -> _Share:
    here = {id_ for id_, _ in messages}
    questions = [
        (question.text, question.evidence)
        for question in conversation.questions
        if question.answerable and question.evidence and question.evidence <= here
    ]
    return _Share(tuple(messages), tuple(questions))


def _shared(pieces: Sequence[_Share], size: Size, *, whole: bool) -> list[_Share]:
    """A piece for each user."""
    if not whole:
        return list(islice(cycle(pieces), size.users))
    shares: list[_Share] = []
    for piece in cycle(pieces):
        if sum(len(share.messages) for share in shares) >= size.memories:
            return shares
        shares.append(piece)
    return shares


def _questions(shares: Sequence[_Share], rng: random.Random) -> list[Asked]:
    """All that can be asked, those whose wording and evidence came before at the end."""
    found = []
    for user, share in enumerate(shares):
        texts = {id_: plain(memory.text) for id_, memory in share.messages}
        for text, evidence in share.questions:
            found.append(Asked(_name(user), text, frozenset(texts[id_] for id_ in evidence)))
    rng.shuffle(found)
    seen: set[tuple[str, frozenset[str]]] = set()
    first: list[Asked] = []
    again: list[Asked] = []
    for one in found:
        key = (one.text, one.evidence)
        (again if key in seen else first).append(one)
        seen.add(key)
    return first + again


def _memory(session: str, turn: Turn) -> Memory:
    return Memory(
        id="",
        user="",
        session=session,
        position=turn.position,
        role=turn.role,
        speaker=turn.speaker or turn.role,
        created_at=turn.created_at.isoformat(),
        text=turn.content,
    )


def _of_user(memory: Memory, user: int, place: int) -> Memory:
    return replace(memory, id=f"{_name(user)}m{place}", user=_name(user))


def _name(user: int) -> str:
    return f"user{user:05}"
