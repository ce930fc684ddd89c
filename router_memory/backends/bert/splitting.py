"""Cutting a text into parts the model can read whole. Nothing of the text is lost.

A model silently ignores what lies past its longest sequence, so a longer text is cut, where possible at
the end of a sentence, else between words. The parts are about equally long: a short remainder would get a
vector of its own that says little and matches much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["Part", "Sequenced", "Splitter", "TokenSpans", "cut"]

TokenSpans = Callable[[str], Sequence[tuple[int, int]]]
"""Gives the character span ``[start, end)`` of each token of a text, without special tokens."""

Sequenced = Callable[[str], "Encoding"]
"""Gives what the model reads of a text, special tokens included, neither filled up nor cut off."""

_SENTENCE_END = ".!?…"
_SENTENCE_END_ANYWHERE = "\n。！？"  # these need no space behind them
_CLOSING = "\"'”’)]»"


@dataclass(frozen=True, slots=True)
class Part:
    """What goes through the model as one sequence.

    Attributes:
        text: The prefix and the part of the text.
        tokens: Length of the sequence in tokens, special tokens and prefix included.
        sequence: What the model reads, where counting the tokens has made it already; for the encoder that split the
            text alone. Two parts of the same text are equal with and without.
    """

    text: str
    tokens: int
    sequence: Encoding | None = field(default=None, compare=False, repr=False)


class Splitter:
    """Splits texts for one prefix.

    Args:
        spans: The model's tokenizer.
        max_tokens: Most tokens of a sequence, special tokens included.
        special_tokens: How many the model adds to each sequence.
        prefix: Put in front of each part.
        lowercase: Whether the model lower-cases its input before it is tokenized.
        sequenced: Makes the sequences that parts keep, so that a text is tokenized once; ``None`` has parts keep none.
    """

    def __init__(
        self,
        spans: TokenSpans,
        *,
        max_tokens: int,
        special_tokens: int,
        prefix: str = "",
        lowercase: bool = False,
        sequenced: Sequenced | None = None,
    ) -> None:
        self._spans = spans
        self._sequenced = sequenced
        self._max_tokens = max_tokens
        self._special_tokens = special_tokens
        self._prefix = prefix
        self._lowercase = lowercase
        self._budget = max_tokens - self._part("").tokens

    @property
    def budget(self) -> int:
        """How many tokens of text fit into a part, beside the prefix and the special tokens."""
        return self._budget

    def split(self, text: str) -> list[Part]:
        """The parts of a text in its order: at least one, none longer than the model reads.

        Without their prefixes they join up to the text. NUL becomes a space and a lone surrogate ``?``, since
        tokenizers refuse them.
        """
        readable = text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
        return list(self._parts(readable.lower() if self._lowercase else readable, self._budget))

    def _parts(self, text: str, budget: int) -> Iterator[Part]:
        """Cuts, and cuts again what came out longer: half a word can have more tokens than its share of the whole."""
        whole = self._part(text)
        if whole.tokens <= self._max_tokens:
            yield whole
            return
        pieces = cut(text, self._spans(text), budget)
        if len(pieces) == 1 and budget == 1:  # one character of more tokens than the model reads
            yield whole
            return
        for piece in pieces:
            yield from self._parts(piece, max(1, budget // 2) if len(pieces) == 1 else budget)

    def _part(self, text: str) -> Part:
        prefixed = self._prefix + text
        if self._sequenced is not None:
            sequence = self._sequenced(prefixed)
            return Part(prefixed, len(sequence), sequence)
        return Part(prefixed, len(self._spans(prefixed)) + self._special_tokens)


def cut(text: str, spans: Sequence[tuple[int, int]], budget: int) -> list[str]:
    """Pieces of `text` of at most `budget` tokens each that join up to it.

    Args:
        text: Any text.
        spans: Character spans of its tokens, in order.
        budget: Most tokens of a piece, ≥ 1. A character of more tokens than that stays whole.
    """
    pieces = []
    first, begin = 0, 0
    while len(spans) - first > budget:
        following = _next_cut(text, spans, first, budget)
        if following == len(spans):
            break
        end = spans[following][0]
        pieces.append(text[begin:end])
        first, begin = following, end
    pieces.append(text[begin:])
    return pieces


def _next_cut(text: str, spans: Sequence[tuple[int, int]], first: int, budget: int) -> int:
    """The token that begins the next piece: at the best boundary, nearest to an equal share of what is left."""
    left = len(spans) - first
    share = -(-left // -(-left // budget))
    ideal = first + share
    ranked = [
        (rank, abs(token - ideal), token)
        for token in range(first + max(1, share // 2), first + budget + 1)
        if (rank := _boundary_rank(text, spans, token)) is not None
    ]
    if ranked:
        return min(ranked)[2]
    for token in range(first + 1, len(spans)):  # no boundary in reach, e.g. many tokens of one character
        if _boundary_rank(text, spans, token) is not None:
            return token
    return len(spans)


def _boundary_rank(text: str, spans: Sequence[tuple[int, int]], token: int) -> int | None:
    """0 if a sentence begins at the token, 1 a word, 2 neither; ``None`` where it shares a character with the last."""
    previous_end, start = spans[token - 1][1], spans[token][0]
    if start < previous_end or start == spans[token - 1][0]:
        return None
    before = text[:start] if start < 8 else text[start - 8 : start]
    said = before.rstrip(" \t\r").rstrip(_CLOSING)
    spaced = before[-1:].isspace() or text[start : start + 1].isspace()
    if said.endswith(tuple(_SENTENCE_END_ANYWHERE)) or (spaced and said.endswith(tuple(_SENTENCE_END))):
        return 0
    return 1 if spaced else 2
