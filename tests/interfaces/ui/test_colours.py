"""Contrast in both themes, by the formula of WCAG 2: 4.5 for text, 3 for controls' edges and for charts."""

from __future__ import annotations

import re

import pytest

from router_memory.interfaces.http.ui.assets import assets

TEXT = [
    *((ink, ground) for ink in ("ink", "muted", "accent") for ground in ("ground", "panel", "sunk")),
    *((mark, "panel") for mark in ("ok", "warn", "bad")),
    ("ink", "accent-soft"),
    ("ink", "ok-soft"),
    ("ink", "warn-soft"),
    ("ink", "bad-soft"),
    ("accent-ink", "accent"),
]
DRAWN = [
    ("edge", "panel"),
    ("edge", "ground"),
    ("for", "panel"),
    ("for", "sunk"),
    ("against", "panel"),
    ("ink", "sunk"),
]


def colours(theme: int) -> dict[str, str]:
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", assets()["css/tokens.css"].body.decode())
    return {name: both[theme] for name, *both in found}


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read(ink: str, ground: str, theme: int) -> None:
    held = colours(theme)
    assert contrast(held[ink], held[ground]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("drawn", "ground"), DRAWN)
def test_edges_and_bars_can_be_seen(drawn: str, ground: str, theme: int) -> None:
    held = colours(theme)
    assert contrast(held[drawn], held[ground]) >= 3
