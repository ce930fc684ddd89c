"""What may stand in the names that a server's keys and indexes start with."""

from __future__ import annotations

import re

__all__ = ["name_fault", "prefix_fault"]

# Braces would move the hash tag of the keys; blanks, stars and backslashes mean something to FT.CREATE and SCAN.
_NAME = re.compile(r"[^\s{}*?\[\]\\\x00-\x1f\x7f-\x9f]+")
_ENDINGS = ("meta:", "order:")  # of the keys beside the memories


def name_fault(name: str) -> str:
    """What is wrong with the name of an index, or with a prefix of keys; empty when nothing is."""
    if _NAME.fullmatch(name):
        return ""
    return "must not be empty, nor hold blanks, backslashes, control characters or any of {}*?[]"


def prefix_fault(prefix: str) -> str:
    """What is wrong with the prefix of a store's keys; empty when nothing is."""
    if prefix.endswith(_ENDINGS):
        return f"must not end in {' or '.join(_ENDINGS)}, which another store's keys under a shorter prefix go on with"
    return name_fault(prefix)
