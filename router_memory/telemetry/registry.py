"""The library's metrics, each series made once, in the process or in files that all workers of a service share.

prometheus-client decides by an environment variable, when it is imported, where every metric of a process lives. Here
each registry decides for its own, so that a process can hold one of either kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from router_memory.errors import MissingExtra
from router_memory.telemetry.folder import has_values, shared_lock

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.metrics_core import Metric

__all__ = ["Family", "Registry"]

Mode = Literal["livesum", "livemax", "livemin"]
"""What the figures of several workers come to."""

_ENVIRONMENT = "PROMETHEUS_MULTIPROC_DIR"
_making = Lock()
_in_folder: dict[Path, Any] = {}
"""What keeps values in a folder; one for each, as its files have one writer in a process."""


_Series = TypeVar("_Series")


class Family(Generic[_Series]):
    """A metric, whose series are looked up by the values of its labels.

    Args:
        metric: The library's.
        registry: What it belongs to.
        labels: Their names.
    """

    __slots__ = ("_metric", "_registry", "_series")

    def __init__(self, metric: Any, registry: Registry, labels: Sequence[str]) -> None:
        self._metric = metric
        self._registry = registry
        self._series: dict[tuple[str, ...], _Series] = {} if labels else {(): metric}

    def __call__(self, *labels: str) -> _Series:
        """The series of these label values."""
        found = self._series.get(labels)
        if found is None:
            with self._registry.making():
                found = self._series[labels] = self._metric.labels(*labels)
        return found

    def __len__(self) -> int:
        return len(self._series)


class Registry:
    """Makes metrics and writes them out.

    Args:
        folder: Of the files; ``None`` keeps them in the process.

    Raises:
        MissingExtra: prometheus-client is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        try:
            import prometheus_client
            from prometheus_client import values
        except ImportError:
            raise MissingExtra("the metrics of the service", extra="server") from None
        self._library = prometheus_client
        self._values = values
        self._folder = folder
        self._registry: CollectorRegistry = prometheus_client.CollectorRegistry()
        self._kind = values.MutexValue if folder is None else _kept_in(folder, values)

    @contextmanager
    def making(self) -> Iterator[None]:
        """While it lasts, the library makes metrics of this registry's kind."""
        with _making:
            kind, before = self._values.ValueClass, os.environ.get(_ENVIRONMENT)
            self._values.ValueClass = self._kind
            if self._folder is not None:
                os.environ[_ENVIRONMENT] = str(self._folder)
            try:
                yield
            finally:
                self._values.ValueClass = kind
                if before is None:
                    os.environ.pop(_ENVIRONMENT, None)
                else:
                    os.environ[_ENVIRONMENT] = before

    def counter(self, name: str, help: str, *labels: str) -> Family[Counter]:
        """A counter; its name ends in ``_total``."""
        with self.making():
            return Family(self._library.Counter(name, help, labels, registry=self._registry), self, labels)

    def histogram(self, name: str, help: str, *labels: str, buckets: Sequence[float]) -> Family[Histogram]:
        """A histogram with these upper bounds."""
        with self.making():
            made = self._library.Histogram(name, help, labels, registry=self._registry, buckets=buckets)
            return Family(made, self, labels)

    def gauge(self, name: str, help: str, *labels: str, mode: Mode = "livesum") -> Family[Gauge]:
        """A gauge; `mode` says what the figures of the workers that live come to."""
        with self.making():
            made = self._library.Gauge(name, help, labels, registry=self._registry, multiprocess_mode=mode)
            return Family(made, self, labels)

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in the text format, and its content type. May be called on any thread."""
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        if self._folder is None:
            return self._library.generate_latest(_Uncreated(self._registry)), content_type
        merged = self._library.CollectorRegistry()
        merged.register(_Merged(self._folder))
        with shared_lock(self._folder):
            return self._library.generate_latest(merged), content_type


class _Uncreated:
    """Leaves out when each series began, which no worker of several can tell and Prometheus does not need."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class _Merged:
    """What all workers of a folder have counted.

    A worker that begins makes a file and then fills it; the library's own collector cannot read empty ones.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.multiprocess import MultiProcessCollector

        files = [str(path) for path in self._folder.glob("*.db") if has_values(path)]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]


def _kept_in(folder: Path, values: Any) -> Any:
    known = _in_folder.get(folder)
    if known is None:
        known = _in_folder[folder] = values.MultiProcessValue()
    return known
