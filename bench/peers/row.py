"""One product at one size: opened, filled, asked, measured, and what went wrong where something did."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bench.peers.corpus import Asked, Corpus, plain
from bench.peers.environments import NotInstalled, environment
from bench.peers.process import Driver, PeerFailed
from bench.peers.products import Product
from bench.peers.settings import LIMIT, Settings
from bench.valkey.server import info, own_server
from router_memory.backends.bert.locating import locate
from tests.servers.process import ServerDied

if TYPE_CHECKING:
    from tests.servers.process import Server

__all__ = ["Row"]

_OPEN_SECONDS = 300.0
_CALL_SECONDS = 60.0
_SPARE_SECONDS = 120.0
"""Of a call that fills, over its budget: a batch is not broken off."""


class Row:
    """One product at one size. After anything failed, `reason` says what, and the rest does nothing.

    Args:
        product: What runs.
        settings: Of the run.
        folder: Of all environments.
    """

    def __init__(self, product: Product, settings: Settings, folder: Path) -> None:
        self.product = product
        self.reason = ""
        self._settings = settings
        self._environments = folder
        self._open = ExitStack()
        self._driver: Driver | None = None
        self._server: Server | None = None
        self._figures: dict[str, Any] = {}
        self._empty_server = 0
        self._seconds: list[float] = []
        self._recalls: list[float] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except (NotInstalled, PeerFailed, ServerDied, SystemExit) as error:
            self._fail(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def runs(self) -> bool:
        """Whether nothing failed yet."""
        return self._driver is not None and not self.reason

    @property
    def p50(self) -> float:
        """Median of the counted searches, in seconds; NaN without any."""
        return float(np.median(self._seconds)) if self._seconds and not self.reason else float("nan")

    @property
    def recall(self) -> float:
        """R@10 of the counted questions; NaN without any."""
        return statistics.fmean(self._recalls) if self._recalls and not self.reason else float("nan")

    def fill(self, corpus: Corpus) -> None:
        """Stores everything within the budget."""
        if not self.runs or not self.product.path:
            return
        handed = 0
        taken = 0.0
        try:
            while handed < len(corpus.memories) and taken < self._settings.budget_seconds:
                some = corpus.memories[handed : handed + self._settings.chunk]
                left = self._settings.budget_seconds - taken
                answer = self._ask(
                    "add", left + _SPARE_SECONDS, memories=[asdict(one) for one in some], within_seconds=left
                )
                handed += answer["added"]
                taken += answer["seconds"]
            if handed == len(corpus.memories):
                done = self._ask("filled", _SPARE_SECONDS)
                taken += done["seconds"]
                if done["stored"] is not None:
                    self._figures["stored"] = done["stored"]
        except PeerFailed as error:
            self._fail(error)
        self._figures["add"] = {"memories": handed, "seconds": round(taken, 3)}
        if taken:
            stored = self._figures.get("stored", handed)  # what it drops it need not embed
            self._figures["add"] |= {"a_second": round(stored / taken, 2), "handed_a_second": round(handed / taken, 2)}
        if handed < len(corpus.memories) and not self.reason:
            self.reason = f"not finished: {handed:,} of {len(corpus.memories):,} memories in {taken:.0f} s"

    def add_singles(self, corpus: Corpus) -> None:
        """Adds memories one at a time, to a user who is asked nothing."""
        if not self.runs:
            return
        try:
            seconds = [self._ask("add_one", _CALL_SECONDS, memory=asdict(one))["seconds"] for one in corpus.spare]
        except PeerFailed as error:
            self._fail(error)
            return
        self._figures["add_one"] = _milliseconds(seconds)

    def ask(self, asked: Asked, *, timed: bool, judged: bool) -> None:
        """Asks one question.

        Args:
            timed: Whether its time counts.
            judged: Whether what it finds does.
        """
        if not self.runs:
            return
        try:
            answer = self._ask("search", _CALL_SECONDS, user=asked.user, question=asked.text, limit=LIMIT)
        except PeerFailed as error:
            self._fail(error)
            return
        if timed:
            self._seconds.append(answer["seconds"])
        if judged:
            found = {plain(text) for text in answer["texts"][:LIMIT]}
            self._recalls.append(len(found & asked.evidence) / len(asked.evidence))

    def weigh(self) -> None:
        """Takes the memory in use."""
        if not self.runs or self._driver is None:
            return
        try:
            self._figures["bytes"] = self._driver.memory()
        except PeerFailed as error:
            self._fail(error)
            return
        if self._server is not None:
            used = int(info(self._server, "memory")["used_memory"])
            self._figures["bytes"]["server"] = used - self._empty_server

    def document(self) -> dict[str, Any]:
        """Its figures, JSON-compatible; with a reason where it was not measured to the end."""
        product = {"texts": self.product.stored, "added_by": self.product.path, "options": dict(self.product.options)}
        figures = dict(self._figures)
        if self.reason:
            return product | figures | {"reason": self.reason}
        found = figures | {"search": _milliseconds(self._seconds)}
        if not self.product.path:
            return found
        return product | found | {"R@10": self.recall}

    def _start(self) -> None:
        began = perf_counter()
        python = environment(self.product.environment, self._environments)
        if self.product.server:
            self._server = self._open.enter_context(own_server())
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix="peers-bench-")))
        self._driver = Driver(python, self.product.driver, folder, threads=self._settings.threads)
        self._open.callback(self._driver.end)
        opened = self._ask(
            "open",
            _OPEN_SECONDS,
            folder=str(self._driver.folder),
            model=str(locate("bert")),
            server=self._server.address if self._server is not None else None,
            extra=dict(self.product.options),
        )
        self._figures |= {"versions": opened["versions"], "open_seconds": round(perf_counter() - began, 3)}
        if self._server is not None:
            self._empty_server = int(info(self._server, "memory")["used_memory"])

    def _ask(self, op: str, within: float, **fields: Any) -> dict[str, Any]:
        assert self._driver is not None
        return self._driver.ask(op, within=within, **fields)

    def _fail(self, error: BaseException) -> None:
        self.reason = f"{type(error).__name__}: {error}"
        print(f"  {self.product.name}: {self.reason}", flush=True)


def _milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {"calls": 0}
    p50, p95 = np.percentile(np.array(seconds) * 1e3, [50, 95])
    return {"calls": len(seconds), "p50_ms": round(float(p50), 3), "p95_ms": round(float(p95), 3)}
