"""`model export`, `model verify` and `model bench`: the embedding model outside a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from router_memory.cli import options as opt
from router_memory.cli import views
from router_memory.cli.output import console, emit_json, note, one_line, safe
from router_memory.types import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.wiring.model import Export, Measured, Verification

__all__ = ["bench", "export", "verify"]

_TEXT_CELLS = 40
_COSINE_CHARS = len("0.999999")


def export(
    runtime: Annotated[
        str | None,
        typer.Option("--runtime", metavar="NAME", help="onnx or onnx-int8; without it, the one that is configured."),
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", metavar="", help="Replace an export that is there.")] = False,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Exports the embedding model for ONNX Runtime and verifies it, unless that was done.

    The first text to embed does the same. Run it where that should not happen: while an image is built, or before
    the folder of exports is mounted for reading alone.
    """
    from router_memory.config import load_config
    from router_memory.wiring.model import Model

    model = Model(load_config(config))
    resolved, made = model.export(runtime, anew=anew)
    if as_json:
        emit_json(_described_export(resolved, made))
        return
    facts = {"model": model.fingerprint, "runtime": resolved, "folder": str(made.folder), "size": size_text(made.bytes)}
    if made.verification is None:
        facts["export"] = "was there"
    else:
        facts["export"] = f"made in {made.seconds:.1f} s"
        facts["cosines"] = _cosines(made.verification)
    console().print(views.grid(facts))


def verify(
    runtime: Annotated[
        str | None,
        typer.Option("--runtime", metavar="NAME", help="onnx or onnx-int8; without it, those that are exported."),
    ] = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Compares exported models with what sentence-transformers computes now, text by text.

    Loads torch. Exits with 1 where an export is too far off, or there is none.
    """
    from router_memory.config import load_config
    from router_memory.wiring.model import Model

    texts, found = Model(load_config(config)).verify(runtime)
    if as_json:
        emit_json(_described_cosines(texts, found))
    else:
        console().print(_cosine_table(texts, found))
        for each in found:
            console().print(safe(f"{each.runtime}: {_cosines(each)}", style="" if each.passed else "bold red"))
    raise typer.Exit(0 if all(each.passed for each in found) else 1)


def bench(
    runtime: Annotated[
        str | None, typer.Option("--runtime", metavar="NAME", help="Only this one; without it, all that are installed.")
    ] = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Measures what the embedding model takes under each runtime, each in a process of its own.

    What is not exported yet is exported first.
    """
    from router_memory.config import load_config
    from router_memory.wiring.model import Model

    found: list[Measured] = []
    for each in Model(load_config(config)).bench(runtime):
        found.append(each)
        if not as_json:
            note(f"measured {each.runtime}")
    if as_json:
        emit_json({"runtimes": [_described_figures(each) for each in found]})
    else:
        console().print(_figure_table(found))


def _described_export(runtime: str, made: Export) -> dict[str, Any]:
    """The same keys whatever was done."""
    verification = made.verification
    return {
        "runtime": runtime,
        "folder": str(made.folder),
        "bytes": made.bytes,
        "made": verification is not None,
        "seconds": made.seconds,
        "mean_cosine": None if verification is None else verification.mean,
        "least_cosine": None if verification is None else verification.least,
    }


def _described_cosines(texts: Sequence[str], found: Sequence[Verification]) -> dict[str, Any]:
    return {
        "texts": list(texts),
        "runtimes": [
            {
                "runtime": each.runtime,
                "passed": each.passed,
                "mean_cosine": each.mean,
                "least_cosine": each.least,
                "cosines": each.cosines.tolist(),
            }
            for each in found
        ],
    }


def _described_figures(measured: Measured) -> dict[str, Any]:
    return {
        "runtime": measured.runtime,
        "load_seconds": measured.load_seconds,
        "query_ms": measured.query_ms,
        "texts_per_second": measured.texts_per_second,
        "resident_bytes": measured.resident_bytes or None,
        "threads": measured.threads,
        "wide_threads": measured.wide_threads,
    }


def _cosines(verification: Verification) -> str:
    verdict = "as it must be" if verification.passed else "too far off"
    figures = f"{verification.mean:.6f} in the mean, {verification.least:.6f} at least"
    return f"{figures} ({verdict}: {verification.demand})"


def _cosine_table(texts: Sequence[str], found: Sequence[Verification]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("text", no_wrap=True, overflow="ellipsis", max_width=_TEXT_CELLS)
    for each in found:
        table.add_column(each.runtime, justify="right", no_wrap=True, min_width=max(len(each.runtime), _COSINE_CHARS))
    for number, text in enumerate(texts):
        table.add_row(safe(one_line(text)) or "(blank)", *(f"{each.cosines[number]:.6f}" for each in found))
    return table


def _figure_table(found: Sequence[Measured]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("runtime")
    for name in ("load", "one short text, median", "passages", "resident", "threads"):
        table.add_column(name, justify="right")
    for each in found:
        table.add_row(
            each.runtime,
            f"{each.load_seconds:.2f} s",
            f"{each.query_ms:.2f} ms",
            f"{each.texts_per_second:,.0f} a second",
            size_text(each.resident_bytes) if each.resident_bytes else "unknown",
            f"{each.threads} or {each.wide_threads}" if each.wide_threads else f"{each.threads}",
        )
    return table
