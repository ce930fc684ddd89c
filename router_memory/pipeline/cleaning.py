"""What a text must be before it is stored or searched, and which texts say nothing worth keeping."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["clean", "is_greeting", "is_low_entropy", "split_bytes", "strip_thinking"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_THINKING_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?。!?])\s+|\n+")

GREETING_CHARS = 25
"""Longest text that can be a greeting (the reference's bound)."""

REFUSAL_CHARS = 300
"""Longest text that can be a bare refusal; a longer one has something to say."""

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
    """An assistant's reply without its reasoning, in one pass over the tags.

    Text between an opening tag and the next closing one goes. A reply that begins inside its reasoning, because
    the template put the opening tag into the prompt, loses all before the first closing tag. Reasoning that was
    cut off goes when it leads the reply; a tag that is only mentioned later in a text stays.
    """
    kept: list[str] = []
    position, opened = 0, -1
    for tag in _THINKING_TAG.finditer(text):
        closing = bool(tag[1])
        if opened < 0 and not closing:
            kept.append(text[position : tag.start()])
            position = opened = tag.start()
        elif opened >= 0 and closing:
            position, opened = tag.end(), -1
        elif closing and position == 0:
            position = tag.end()
    rest = "" if opened >= 0 and not "".join(kept).strip() else text[position:]
    return ("".join(kept) + rest).strip()


def is_greeting(text: str) -> bool:
    """Whether a text of at most `GREETING_CHARS` characters only greets or acknowledges: not worth a search."""
    stripped = text.strip()
    return len(stripped) <= GREETING_CHARS and is_low_entropy(stripped)


def is_low_entropy(text: str) -> bool:
    """Whether a message says nothing to remember: no word at all, small talk alone, or a bare refusal."""
    words = (match[0].casefold().replace("’", "'") for match in _WORD.finditer(text))
    if all(word in _SMALL_TALK for word in words):
        return True
    return len(text) <= REFUSAL_CHARS and _REFUSAL.match(text) is not None


def split_bytes(text: str, limit: int) -> Iterator[str]:
    """Parts of at most `limit` UTF-8 bytes, none empty, cut behind a sentence or line in a part's second half.

    Joined by the white space between them the parts are the whole text.

    Args:
        limit: ≥ 4, the size of the longest UTF-8 character.
    """
    raw = text.strip().encode()
    while len(raw) > limit:
        head = raw[:limit].decode(errors="ignore")
        cut = max((match.end() for match in _SENTENCE_END.finditer(head)), default=0)
        if cut <= len(head) // 2:
            cut = head.rfind(" ") + 1
        if cut <= len(head) // 2:
            cut = len(head)
        part = head[:cut]
        if part.strip():
            yield part.strip()
        raw = raw[len(part.encode()) :].lstrip()
    if raw.strip():
        yield raw.decode().strip()
