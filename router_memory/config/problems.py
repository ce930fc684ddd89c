"""What is wrong with a configuration: collected first, so that the error can say how much more there is."""

from __future__ import annotations

from dataclasses import dataclass

from router_memory.errors import ConfigError

__all__ = ["Problem", "Problems"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing an operator has to change.

    Attributes:
        key_path: Dotted path of the key, e.g. ``global.stores.memory.backend``; empty for the whole file.
        message: What is wrong. Never holds a secret or a value of the environment.
        hint: The nearest valid key or value, or what else to do.
    """

    key_path: str
    message: str
    hint: str = ""


_NAMED = 5  # further problems whose place is told


class Problems:
    """The problems of one file, in the order they were found.

    Args:
        file: Path of the file, or ``<dict>``.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._subject = ""
        self._found: list[Problem] = []

    def of_decision(self, name: str) -> Problems:
        """The same collection, for what belongs to one decision: its messages start with the name."""
        view = Problems(self._file)
        view._subject = f"decision {name!r}: "
        view._found = self._found
        return view

    def add(self, key_path: str, message: str, hint: str = "") -> None:
        """Records one more problem."""
        self._found.append(Problem(key_path, self._subject + message, hint))

    def raise_first(self) -> None:
        """Does nothing when all is well.

        Raises:
            ConfigError: The first problem, with the number of the others.
        """
        if not self._found:
            return
        first, others = self._found[0], len(self._found) - 1
        more = ""
        if others:
            more = f"; {others} more {'problem' if others == 1 else 'problems'} in this configuration: "
            more += ", ".join(problem.key_path or "the file" for problem in self._found[1 : 1 + _NAMED])
            more += ", …" if others > _NAMED else ""
        raise ConfigError(first.message + more, file=self._file, key_path=first.key_path, hint=first.hint)
