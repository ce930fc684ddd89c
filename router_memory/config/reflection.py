"""The `reflection` section, globally and per decision: what is dropped before the injection."""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Literal

from pydantic import Field, field_validator

from router_memory.config.section import Count, Section, Share, problem

__all__ = ["Days", "ReflectionOverride", "ReflectionSection", "compile_patterns"]

Algorithm = Literal["heuristic", "recency_semantic", "noop"]
Days = Annotated[float, Field(ge=0.01, le=36_500)]


def compile_patterns(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """The patterns, compiled.

    Raises:
        PydanticCustomError: One is no regular expression of Python's `re`; names its index.
    """
    return tuple(_compile(index, pattern) for index, pattern in enumerate(patterns))


def _compile(index: int, pattern: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constructs that may mean something else in a later Python
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise problem(f"is not a regular expression: {error}", key=f"[{index}]") from None


class ReflectionSection(Section):
    """What every decision drops, unless it says otherwise."""

    enabled: bool = True
    algorithm: Algorithm = "heuristic"
    max_inject_tokens: Count = 2048
    recency_decay_days: Days = 30.0
    dedup_threshold: Share = 0.90
    block_patterns: tuple[str, ...] = ()

    @field_validator("block_patterns")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        compile_patterns(patterns)
        return patterns


class ReflectionOverride(Section):
    """What one decision drops: a key that is absent keeps the global value."""

    enabled: bool | None = None
    algorithm: Algorithm | None = None
    max_inject_tokens: Count | None = None
    recency_decay_days: Days | None = None
    dedup_threshold: Share | None = None
    block_patterns: tuple[str, ...] | None = None

    @field_validator("block_patterns")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        compile_patterns(patterns or ())
        return patterns
