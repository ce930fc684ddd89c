"""All products of a table at each size, asked the same questions in turn."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.claims import Claim, at_least
from bench.peers.corpus import Asked, Corpus, make_corpus
from bench.peers.environments import ENVIRONMENTS
from bench.peers.generating import generated
from bench.peers.products import FLOOR, INT8, NO_SPEAKER, ON_TORCH, OURS, Product
from bench.peers.row import Row
from bench.peers.settings import Settings, Size
from bench.quality.data import load

__all__ = ["ask_all", "claims_of", "compare"]

_FASTER = 3.0
"""How many times faster than each of the others a search is to be."""


def compare(settings: Settings, products: Sequence[Product], *, targets: bool) -> tuple[dict[str, Any], list[Claim]]:
    """Figures and claims of all sizes.

    Args:
        settings: Of the run.
        products: The rows; ours in its default form is among them.
        targets: Whether the claims have targets.
    """
    conversations = list(load(Path(settings.data))) if settings.data else generated(settings.seed)
    folder = Path(settings.environments) if settings.environments else ENVIRONMENTS
    wanted = [one for one in products if one.ours or not settings.peers or one.name.split()[0] in settings.peers]
    sizes: dict[str, Any] = {}
    claims: list[Claim] = []
    for size in settings.sizes:
        corpus = make_corpus(
            conversations,
            size,
            questions=settings.questions,
            singles=settings.singles,
            whole=settings.whole,
            seed=settings.seed,
        )
        with ExitStack() as opened:
            rows = [opened.enter_context(Row(one, settings, folder)) for one in (FLOOR, *wanted)]
            _measure(rows, corpus, settings)
            sizes[str(size)] = {
                "memories": len(corpus.memories),
                "users": corpus.users,
                "questions": len(corpus.questions),
                "rows": {row.product.name: row.document() for row in rows},
            }
            claims += claims_of(size, rows, targets=targets)
    return {"sizes": sizes}, claims


def _measure(rows: Sequence[Row], corpus: Corpus, settings: Settings) -> None:
    for row in rows:
        print(f"  filling {row.product.name} …", flush=True)
        row.fill(corpus)
    rng = random.Random(settings.seed)
    for number in range(settings.warm_up):
        ask_all(rows, corpus.questions[number % len(corpus.questions)], rng, timed=False, judged=False)
    for number in range(settings.questions):
        first = number < len(corpus.questions)
        ask_all(rows, corpus.questions[number % len(corpus.questions)], rng, timed=True, judged=first)
    for row in rows:
        row.weigh()
        row.add_singles(corpus)


def ask_all(rows: Sequence[Row], asked: Asked, rng: random.Random, *, timed: bool, judged: bool) -> None:
    """In another order each time: the threads of the one before may still spin, which must not always hit the same."""
    for row in rng.sample(rows, len(rows)):
        row.ask(asked, timed=timed, judged=judged)


def claims_of(size: Size, rows: Sequence[Row], *, targets: bool) -> list[Claim]:
    """How far ahead in R@10 ours is, and how many times faster; against each that was measured to the end."""
    floor, *others = rows
    ours = next(row for row in others if row.product.name == OURS)
    peers = [row for row in others if not row.product.ours and not math.isnan(row.p50)]
    if math.isnan(ours.p50):
        return []
    claims = [Claim(f"R@10 of {OURS} at {size}", ours.recall)]
    if peers:
        best = max(peers, key=lambda row: row.recall)
        name, ahead = (
            f"R@10, {OURS} − the best of the others ({best.product.name}) at {size}",
            ours.recall - best.recall,
        )
        claims.append(at_least(name, ahead, 0.0) if targets else Claim(name, ahead))
        unaided = next((row for row in others if row.product.name == NO_SPEAKER and not math.isnan(row.p50)), None)
        if unaided is not None:
            name = f"R@10, {NO_SPEAKER} − the best of the others ({best.product.name}) at {size}"
            claims.append(Claim(name, unaided.recall - best.recall))
    for row in peers:
        name, faster = f"search p50, {row.product.name} / {OURS} at {size}", row.p50 / ours.p50
        claims.append(at_least(name, faster, _FASTER) if targets else Claim(name, faster))
    for form in (row for row in others if row.product.name in (INT8, ON_TORCH) and not math.isnan(row.p50)):
        claims += [
            Claim(f"search p50, {row.product.name} / {form.product.name} at {size}", row.p50 / form.p50)
            for row in peers
        ]
    return claims + [
        Claim(f"search p50, {row.product.name} / {OURS} at {size}", row.p50 / ours.p50)
        for row in (floor, *others)
        if row.product.ours and row is not ours and not math.isnan(row.p50)
    ]
