"""What a text must be before it is stored or searched, and which texts say nothing worth keeping."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["clean", "is_greeting", "is_low_entropy", "split_bytes", "strip_thinking"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THINKING_UNOPENED = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_THINKING_UNCLOSED = re.compile(r"\A\s*<(?:think|thinking|reasoning)>.*\Z", re.DOTALL | re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?。!?])\s+|\n+")

GREETING_CHARS = 25
"""Longest text that can be a greeting (the reference's bound)."""

_GREETINGS = frozenset(
    (
        "hi hello hey heya hiya howdy yo hallo hola bonjour ciao greetings good morning afternoon evening night day "
        "there everyone all again sup what's up whats how are you doing going it's it is everything"
    ).split()
)
_ACKNOWLEDGEMENTS = frozenset(
    (
        "ok okay k kk thanks thank thx ty you so very much a lot yes yeah yep yup no nope nah sure fine great nice "
        "cool good perfect awesome wonderful lovely excellent alright right indeed exactly true agreed got it i see "
        "understood done bye goodbye cheers welcome please wow oh ah haha lol hmm um well that's that is sounds too "
        "me same will do np problem worries never mind nevermind go ahead continue"
    ).split()
)
_SMALL_TALK = _GREETINGS | _ACKNOWLEDGEMENTS
_REFUSAL = re.compile(
    r"\A\s*(?:i(?:'|’)?m sorry|i am sorry|sorry|i apologi[sz]e|unfortunately|as an ai\b[^.]*)[\s,.]*(?:but\s+)?"
    r"i(?:\s+(?:can\s?not|can(?:'|’)t|am unable|won(?:'|’)t)|(?:'|’)m (?:unable|not able))\b[^.\n]*[.!]?\s*\Z",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD and white space trimmed at both ends.

    JSON bodies cut in the middle of an emoji hold lone surrogates, which no UTF-8 store can keep.
    """
    return _UNSTORABLE.sub("�", text).strip()


def strip_thinking(text: str) -> str:
    """An assistant's reply without its reasoning: paired tags, a lost opening tag, or an unclosed leading one."""
    text = _THINKING.sub("", text)
    text = _THINKING_UNOPENED.sub("", text)
    return _THINKING_UNCLOSED.sub("", text).strip()


def is_greeting(text: str) -> bool:
    """Whether a text of at most `GREETING_CHARS` characters only greets or acknowledges: not worth a search."""
    stripped = text.strip()
    return len(stripped) <= GREETING_CHARS and is_low_entropy(stripped)


def is_low_entropy(text: str) -> bool:
    """Whether a message says nothing to remember: no word at all, small talk alone, or a bare refusal."""
    words = [word.casefold().replace("’", "'") for word in _WORD.findall(text)]
    return all(word in _SMALL_TALK for word in words) or _REFUSAL.match(text) is not None


def split_bytes(text: str, limit: int) -> Iterator[str]:
    """Parts of at most `limit` UTF-8 bytes, cut behind a sentence or line where one ends in the second half.

    Joined by the white space between them the parts are the whole text.

    Args:
        limit: ≥ 4, the size of the longest UTF-8 character.
    """
    while len(text.encode()) > limit:
        head = text.encode()[:limit].decode(errors="ignore")
        cut = max((match.end() for match in _SENTENCE_END.finditer(head)), default=0)
        if cut <= len(head) // 2:
            cut = max(head.rfind(" ") + 1, 0)
        if cut <= len(head) // 2:
            cut = len(head)
        yield text[:cut].strip()
        text = text[cut:]
    if text.strip():
        yield text.strip()
