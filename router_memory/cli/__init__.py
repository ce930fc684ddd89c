"""The command line. Importing it loads neither model, store nor configuration: each command brings its own."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Runs the command of this process's arguments and exits."""
    from router_memory.cli.process import begin

    begin()
    from router_memory.cli.entry import main as run  # after `begin`: it loads the half of what a command needs

    run()
