"""Memories as lines of JSON on their way in: the lines of a stream, and what became of them. Loads nothing heavy."""

from router_memory.ndjson.lines import MAX_LINE_BYTES, Line, lines
from router_memory.ndjson.tally import MOST_LISTED, Tally

__all__ = ["MAX_LINE_BYTES", "MOST_LISTED", "Line", "Tally", "lines"]
