"""Ids and texts made to break out of a query, a key or a tag: the same for the same seed."""

from __future__ import annotations

import random
import unicodedata
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["queries", "strings"]

_SYNTAX = (
    "@user:{*}", "*", "a,b", "a|b", "(a|b)", "-a", "%%a%%", "~a", '"a', "'a'", "\\", "a\\", "a\\,b", "{a}", "}{",
    "[1 2]",
    "@project:{x}", "@stems:{a|b}", "=>[KNN 5 @embedding $v]", "}=>[KNN 9 @embedding $v AS d]", "@user:{a} | *", "$v",
    "mem:{x}:y", "#1:", ":", "::", "meta:", "order:", "schema", "\r\nFLUSHALL\r\n", "*3\r\n$3\r\nSET\r\n", "\x1b[31m",
    "a b", " a", "a ", "\ta", "a\n", "\u00a0a", "\u200ba", "\u202ea", "\ufeffa", "a\u0301", "\u00e1", "\u212b",
    "\u00c5",
    "ß", "ss", "SS", "ı", "i", "İ", "I", "ﬁ", "fi", "Σ", "ς", "σ", "🦊", "👨‍👩‍👧", "\U0010ffff", "\x7f", "\x01",
    "%s", "%00",
    "../../etc", "<b>", "&amp;", "NULL", "nil", "0", "-1", "1e9", "NaN", "inf", "true", "[]", "{}", '{"a":1}', "\u2028",
)  # fmt: skip
_PLANES = ((0x21, 0x2FF), (0x370, 0x1FFF), (0x3040, 0xD7FF), (0xE000, 0xFFFD), (0x10000, 0x1FFFF), (0xE0000, 0x10FFFF))
_LONG = 3_000


def strings(seed: int) -> Iterator[str]:
    """Strings that differ from each other, without end; none holds NUL or is blank.

    Many come as twins: another case, another normal form, one character more.
    """
    drawn = random.Random(seed)
    seen: set[str] = set()
    for number in count():
        base = _one(drawn, number)
        for twin in _twins(drawn, base):
            if twin.strip() and twin not in seen:
                seen.add(twin)
                yield twin


def queries(seed: int) -> Iterator[str]:
    """What somebody types who wants to break a query."""
    drawn = random.Random(seed)
    texts = strings(seed + 1)
    while True:
        yield " ".join(next(texts) for _ in range(1 + drawn.randrange(4)))


def _one(drawn: random.Random, number: int) -> str:
    kind = drawn.randrange(10)
    if number < len(_SYNTAX):
        return _SYNTAX[number]
    if kind < 3:
        return "".join(drawn.choice(_SYNTAX) for _ in range(1 + drawn.randrange(3)))
    if kind < 4:
        return drawn.choice(_SYNTAX) * (1 + drawn.randrange(_LONG // 10))
    if kind < 5:
        return "".join(chr(drawn.randrange(1, 0x20)) for _ in range(4)) + str(number)
    low, high = drawn.choice(_PLANES)
    return "".join(chr(drawn.randrange(low, high)) for _ in range(1 + drawn.randrange(12)))


def _twins(drawn: random.Random, base: str) -> list[str]:
    forms = [base, base.upper(), base.lower(), base.swapcase(), base + " ", base + ",", base + "x"]
    forms += [unicodedata.normalize(form, base) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    drawn.shuffle(forms)
    return forms[: 1 + drawn.randrange(6)]
