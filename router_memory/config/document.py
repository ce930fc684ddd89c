"""Reads a YAML document strictly where YAML is strict, and without touching what belongs to others."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from router_memory.config.nearest import nearest
from router_memory.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["parse_document", "parse_yaml", "read_content", "read_document"]

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_SUFFIXES = (".yaml", ".yml", ".json")  # of files that may have been meant
_QUOTED = re.compile(r"'(?!<)[^']{2,}'|\"(?!<)[^\"]{2,}\"")


class _TaggedValue:
    """A value with a tag such as ``!vault`` that some other reader of the file understands."""


class _Loader(yaml.SafeLoader):
    """The safe loader, which also refuses a key that stands twice in one mapping."""

    # Dates stay text: nothing of ours is a date, and a wrong one in a foreign section is none of our business.
    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class declares it so
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.tag == _MERGE:
                continue
            if name in seen:
                raise _DuplicateKey(key.value, key.start_mark)
            seen.add(name)
        return node


class _DuplicateKey(yaml.MarkedYAMLError):
    """A key stands twice in one mapping."""

    def __init__(self, key: str, mark: yaml.Mark) -> None:
        super().__init__(problem=f"the key {key} stands twice in this mapping", problem_mark=mark)


def _tagged(_loader: yaml.SafeLoader, _node: yaml.Node) -> _TaggedValue:
    return _TaggedValue()


_Loader.add_constructor(None, _tagged)


def read_document(path: Path) -> Mapping[Any, object]:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        ConfigError: The file is missing or unreadable, no YAML, or no mapping. Syntax errors name line and column.
    """
    return parse_document(path, read_content(path))


def parse_document(path: Path, content: bytes) -> Mapping[Any, object]:
    """The same of what was read from the file before."""
    document = parse_yaml(path, content)
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        found = "list" if isinstance(document, list) else "single value"
        raise ConfigError(
            f"is a {found}, not a mapping", file=str(path), hint="a configuration starts with 'global:' or 'routing:'"
        )
    return document


def parse_yaml(path: Path, content: bytes) -> object:
    """What a YAML file holds, whatever its shape; None when it is empty.

    Raises:
        ConfigError: It is no YAML. The message names line and column and quotes nothing.
    """
    try:
        return yaml.load(content, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_explain(error), file=str(path)) from None
    except yaml.YAMLError:
        raise ConfigError(
            "is not a text file in UTF-8 or UTF-16, or holds control characters", file=str(path)
        ) from None
    except RecursionError:
        raise ConfigError("is nested too deeply", file=str(path)) from None
    except (ValueError, OverflowError):
        raise ConfigError("holds a number or a date that cannot be read", file=str(path)) from None


def read_content(path: Path) -> bytes:
    """What stands in the file.

    Raises:
        ConfigError: It is missing or unreadable.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=str(path), hint=_sibling(path)) from None
    except IsADirectoryError:
        raise ConfigError("is a folder", file=str(path), hint="name the YAML file in it") from None
    except OSError as error:
        reason = error.strerror or errno.errorcode.get(error.errno or 0, "unknown error")
        raise ConfigError(f"cannot be read: {reason}", file=str(path)) from None
    except ValueError:
        raise ConfigError("is not a path", file=repr(str(path))) from None


def _sibling(path: Path) -> str:
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist"
    files = (item.name for item in path.parent.iterdir() if item.suffix.lower() in _SUFFIXES and item.is_file())
    match = nearest(path.name, sorted(files))
    return f"did you mean {match!r} in that folder?" if match else "check the path"


def _explain(error: yaml.MarkedYAMLError) -> str:
    """The problem and its place, without the snippet of the file, which could show a password."""
    if isinstance(error, _DuplicateKey):
        what = error.problem or ""
    else:
        # The parser quotes names of aliases and anchors: `password: *secret` would show the secret.
        what = _QUOTED.sub("…", f"is not valid YAML: {error.problem}")
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else what
