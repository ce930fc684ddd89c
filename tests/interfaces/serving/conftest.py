"""Starts services and ends them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.interfaces.serving.running import Running, gone, yaml_of
from tests.interfaces.serving.upstream import Upstream


class Start(Protocol):
    """Starts a service; see `Running` and `yaml_of`."""

    def __call__(
        self,
        *arguments: str,
        service: dict[str, Any] | None = None,
        text: str | None = None,
        environment: dict[str, str] | None = None,
        **memory: Any,
    ) -> Running: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services that belong to this test alone."""
    started: list[Running] = []

    def begin(
        *arguments: str,
        service: dict[str, Any] | None = None,
        text: str | None = None,
        environment: dict[str, str] | None = None,
        **memory: Any,
    ) -> Running:
        folder = tmp_path / f"service-{len(started)}"
        written = yaml_of(tmp_path, service=service, **memory) if text is None else text
        running = Running(folder, written, *arguments, environment=environment)
        started.append(running)
        return running

    yield begin
    for running in started:
        running.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with two workers that the tests of a module share; none may end it."""
    folder = tmp_path_factory.mktemp("service")
    running = Running(folder, yaml_of(folder), "--workers", "2").ready()
    workers = running.workers()
    yield running
    running.close()
    running.until(lambda: all(gone(pid) for pid in workers))


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An upstream that streams with a pause before each part, so that streams are under way when something happens."""
    running = Upstream(delay=0.01).start()
    yield running
    running.close()
