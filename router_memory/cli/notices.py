"""The few log records that a person is shown without asking."""

from __future__ import annotations

import contextlib
import logging

from router_memory.cli.output import OutputClosed, note

__all__ = ["Notices"]

_SHOWN = "router_memory.bert"


class Notices(logging.Handler):
    """Shows what the embedding model warns of: that it is exported, which takes a while, or embeds with torch.

    For the root logger, where ``--debug`` replaces it. What else matters is in errors.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        if record.name == _SHOWN:
            with contextlib.suppress(OutputClosed, OSError):  # nobody reads it
                note(record.getMessage())
