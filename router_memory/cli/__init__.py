"""The command line. Importing it loads neither model, store nor configuration: each command brings its own."""

from __future__ import annotations

from router_memory.cli.entry import main

__all__ = ["main"]
