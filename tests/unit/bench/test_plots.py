"""Plots: drawn from what documents hold, small, and the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.document import Document
from bench.report.blocks import block
from bench.report.plots import PLOTS
from bench.report.plots.plot import save
from tests.unit.bench.test_document import part

MOST_BYTES = 60_000

SEARCH = {"p50_ms": 5.0, "p95_ms": 9.0}
STAGES = ("embed", "embed_configured", "candidates_100", "candidates_1000", "rerank_100", "inject_10")
REQUESTS = ("on_request_without_embedding", "on_request")
DAY = {"level_1": 0.5, "level_2": 0.1, "joined": 0.1, "mean_ms": 4.0}
SAMPLED = {
    "microseconds": 200.0,
    "samples": 4,
    "rooms": {"store": {"share": 0.75, "microseconds": 150.0}, "cache": {"share": 0.25, "microseconds": 50.0}},
    "functions": {"cache.local:get": {"share": 0.25, "microseconds": 50.0}},
    "stacks": {
        "plugin.plugin:on_request;backends.embedded.reads:one": 3,
        "plugin.plugin:on_request;cache.local:get": 1,
    },
}
FIGURES: dict[str, dict[str, dict[str, Any]]] = {
    "stages": {
        "stages": {
            "stages": {name: {"ratio_to_embed": 0.1, "median_seconds": 0.001} for name in (*STAGES, *REQUESTS)},
        }
    },
    "profile": {"hit": SAMPLED, "miss": SAMPLED},
    "valkey": {"searches": {"sizes": {"1000": {"store": SEARCH, "bare_pipeline": SEARCH}}}},
    "scale": {
        "users": {"memories": 1000, "hot": SEARCH},
        "scope": {"memories": 1000, "both": SEARCH, "numpy": SEARCH},
    },
    "cache": {"trace": {"embedded": {"without": DAY | {"level_1": 0.0}, "level 1 alone": DAY}}},
    "throughput": {
        "callers": {
            count: {"load": 1.2, "auto": {"a_second": 9.0, **SEARCH}, "bare": {"a_second": 12.0}}
            for count in ("1", "8")
        }
    },
    "peers": {
        "shipped": {
            "sizes": {
                "1000x20": {
                    "memories": 1000,
                    "users": 20,
                    "rows": {
                        "bare embedding": {"search": SEARCH, "R@10": 0.0, "added_by": ""},
                        "router-memory": {"search": SEARCH, "R@10": 0.8, "added_by": "remember()"},
                        "other": {"search": SEARCH, "R@10": 0.5, "added_by": "add()"},
                        "third": {"reason": "it does not install"},
                    },
                }
            }
        }
    },
    "startup": {
        "search": {"torch": {"ms": 5000.0}, "onnx": {"ms": 700.0}},
        "ready": {"serve": {"onnx": {"ms": 900.0}}},
    },
}
MEASURED = {
    name: Document(benchmark=name, parts={one: part(**figures) for one, figures in parts.items()})
    for name, parts in FIGURES.items()
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_small_picture(name: str, tmp_path: Path) -> None:
    """The same points give the same bytes."""
    plot = PLOTS[name]
    for place in ("one.png", "two.png"):
        save(plot, plot.points(MEASURED), tmp_path / place)
    drawn = (tmp_path / "one.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) < MOST_BYTES
    assert drawn == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("name", PLOTS)
def test_what_was_not_measured_is_not_drawn(name: str) -> None:
    assert PLOTS[name].points({}) is None
    assert block(f"plot/{name}", {}).startswith("*Not measured yet")


def test_the_plot_of_peers_leaves_out_what_finds_nothing() -> None:
    (rows,) = PLOTS["peers"].points(MEASURED).values()
    assert list(rows) == ["router-memory", "other"]


def test_the_table_of_peers_has_a_row_for_one_that_could_not_run() -> None:
    made = block("peers/as-shipped", MEASURED)
    assert "| third | not measured: it does not install |" in made
    assert "| router-memory | 0.800 | 5.00 ms |" in made
    assert "| bare embedding |  | 5.00 ms |" in made
