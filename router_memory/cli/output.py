"""What reaches the terminal: text that cannot steer it, and JSON in one document."""

from __future__ import annotations

import json
import re
import sys
from typing import IO, Any, NoReturn

from rich.console import Console
from rich.text import Text

__all__ = ["OutputClosed", "console", "emit_json", "note", "one_line", "printable", "safe"]

# Controls and escapes (C0, DEL, C1), lone surrogates, and the format characters that reorder or hide text.
# Joiners (U+200C, U+200D) stay: emoji and several scripts need them.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


class OutputClosed(Exception):
    """Nobody reads what is written any more."""


class _Terminal(Console):
    """A console without markup that reports a closed pipe instead of ending the process."""

    def on_broken_pipe(self) -> NoReturn:
        raise OutputClosed


def console(stream: IO[str] | None = None) -> Console:
    """A console on `stream`, standard output without one, that takes text as text."""
    return _Terminal(file=stream or sys.stdout, markup=False, emoji=False, highlight=False)


def note(text: str) -> None:
    """Tells a person something on standard error, on one line."""
    console(sys.stderr).print(Text(f"router-memory: {one_line(text)}"), soft_wrap=True)


def printable(text: str) -> str:
    """The text with every character that could steer a terminal written out by its number; newlines stay."""
    return _UNSAFE.sub(_written_out, text.replace("\r\n", "\n").replace("\t", "    "))


def one_line(text: str) -> str:
    """The same on one line, white space collapsed."""
    return " ".join(printable(text).split())


def safe(text: str, style: str = "") -> Text:
    """User content as a renderable: escapes are written out and square brackets mean nothing."""
    return Text(printable(text), style=style)


def emit_json(value: Any) -> None:
    """Prints one JSON document on standard output.

    Raises:
        OutputClosed: Nobody reads it.
    """
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    text = _UNSAFE.sub(_json_escape, text)  # such characters stand inside strings alone, where an escape means the same
    if (sys.stdout.encoding or "").replace("-", "").casefold() != "utf8":
        text = json.dumps(json.loads(text), indent=2)
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise OutputClosed from None


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
