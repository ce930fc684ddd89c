"""A service replaces its configuration under requests that are on their way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from router_memory import MemoryPlugin, Scope
from router_memory.config import Config, load_config
from router_memory.errors import BackendUnavailable, ConfigError
from router_memory.service import Generation, Service
from router_memory.telemetry import Telemetry
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder

MESSAGES = [{"role": "user", "content": "Which seat do I like on long flights?"}]


class Rig:
    """A service over the embedded store and what it was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[MemoryPlugin] = []
        self.following = self.config()
        self.service = Service(
            self.following, telemetry=Telemetry(), load=lambda: self.following, open_memory=self._open
        )

    def config(self, **memory: Any) -> Config:
        section = {
            "enabled": True,
            "auto_store": True,
            "default_similarity_threshold": 0.5,
            "deadline_ms": 5000,
            "embedded": {"path": str(self.folder / "memory.db")},
        }
        return load_config({"global": {"stores": {"memory": section | memory}}})

    def _open(self, config: Config) -> MemoryPlugin:
        self.made.append(MemoryPlugin(Assembly(config, HashingEmbedder)))
        return self.made[-1]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def ask(generation: Generation) -> int:
    """How many memories a request gets."""
    outcome = await generation.memory.on_request(decision=None, user_id="ada", messages=MESSAGES)
    return len(outcome.memories)


async def test_a_service_that_is_not_open_says_so(rig: Rig) -> None:
    with pytest.raises(BackendUnavailable), rig.service.lease():
        pass
    assert rig.service.config is rig.following


async def test_a_reload_serves_the_new_configuration(rig: Rig) -> None:
    await rig.service.open()
    await rig.service.generation.memory.add(Scope("ada"), "prefers an aisle seat on long flights")
    assert await ask(rig.service.generation) == 1
    rig.following = rig.config(default_similarity_threshold=1.0)
    result = await rig.service.colleagues.reload()
    assert await ask(rig.service.generation) == 0
    assert (result.generation, result.workers) == (2, 1)
    assert result.changed == ("global.stores.memory.default_similarity_threshold",)
    assert result.needs_restart == ()
    await rig.service.close(1)


async def test_a_request_keeps_its_configuration_and_its_memory_until_it_ends(rig: Rig) -> None:
    await rig.service.open()
    await rig.service.generation.memory.add(Scope("ada"), "prefers an aisle seat on long flights")
    with rig.service.lease() as before:
        rig.following = rig.config(default_similarity_threshold=1.0)
        await rig.service.colleagues.reload()
        assert await ask(before) == 1
        assert await ask(rig.service.generation) == 0
    await rig.service.close(1)
    assert before.users == 0
    with pytest.raises(BackendUnavailable):
        await before.memory.count(Scope("ada"))


async def test_a_reload_cuts_no_chat_off_that_takes_longer_than_an_end_may(rig: Rig) -> None:
    """`drain_seconds` is for the end of the service, and holds for what earlier configurations serve, too."""
    rig.service._config = rig.config(service={"drain_seconds": 0.0})
    await rig.service.open()
    with rig.service.lease() as before:
        rig.following = rig.config(deadline_ms=4000)
        await rig.service.colleagues.reload()
        (retiring,) = rig.service._retiring
        _, waiting = await asyncio.wait([retiring], timeout=0.05)
        assert waiting
        assert await before.memory.count(Scope("ada")) == 0
        await rig.service.close(0.0)
        assert retiring.done()


async def test_a_turn_accepted_before_a_reload_is_stored(rig: Rig) -> None:
    await rig.service.open()
    with rig.service.lease() as before:
        outcome = await before.memory.on_request(decision=None, user_id="ada", messages=MESSAGES)
        rig.following = rig.config(deadline_ms=4000)
        await rig.service.colleagues.reload()
        receipt = await before.memory.on_response(outcome, "An aisle seat.")
    await receipt.wait()
    assert await rig.service.generation.memory.count(Scope("ada")) == 2
    await rig.service.close(1)


async def test_a_configuration_that_cannot_be_opened_changes_nothing(rig: Rig) -> None:
    await rig.service.open()
    current = rig.service.generation

    def refuse() -> Config:
        raise ConfigError("is wrong")

    rig.service._load = refuse
    with pytest.raises(ConfigError):
        await rig.service.colleagues.reload()
    assert rig.service.generation is current
    assert await ask(current) == 0
    await rig.service.close(1)


async def test_what_was_prepared_and_never_served_is_closed(rig: Rig) -> None:
    await rig.service.open()
    await rig.service.prepare(rig.config(deadline_ms=4000))
    await rig.service.abandon()
    await rig.service.commit()
    assert rig.service.generation.number == 1
    with pytest.raises(BackendUnavailable):
        await rig.made[1].count(Scope("ada"))
    await rig.service.close(1)


async def test_closing_waits_for_requests_and_then_for_no_longer_than_it_was_told(rig: Rig) -> None:
    await rig.service.open()
    ended = asyncio.Event()

    async def request() -> None:
        with rig.service.lease() as generation:
            await ended.wait()
            assert await ask(generation) == 0

    running = asyncio.create_task(request())
    await asyncio.sleep(0)
    closing = asyncio.create_task(rig.service.close(60))
    await asyncio.sleep(0)
    assert rig.service.draining
    ended.set()
    await running
    await closing

    await rig.service.open()
    with rig.service.lease() as generation:
        await rig.service.close(0.01)
        with pytest.raises(BackendUnavailable):
            await generation.memory.count(Scope("ada"))


async def test_what_an_interface_keeps_for_a_configuration_ends_with_it(rig: Rig) -> None:
    closed: list[int] = []

    async def close(kept: list[int]) -> None:
        closed.extend(kept)

    await rig.service.open()
    with rig.service.lease() as before:
        kept = rig.service.resource(before, "pool", lambda _config: [1], close)
        assert rig.service.resource(before, "pool", lambda _config: [2], close) is kept
        await rig.service.colleagues.reload()
        assert not closed
    rig.service.resource(rig.service.generation, "pool", lambda _config: [2], close)
    await rig.service.close(1)
    assert sorted(closed) == [1, 2]


async def test_a_reload_that_opens_the_address_to_everybody_is_refused_whatever_host_the_file_names(rig: Rig) -> None:
    rig.service = Service(
        rig.following, telemetry=Telemetry(), load=lambda: rig.following, open_memory=rig._open, bound="0.0.0.0"
    )
    await rig.service.open()
    first = rig.service.generation
    rig.following = rig.config(service={"host": "127.0.0.1", "auth": {"modes": ["development"]}})
    with pytest.raises(ConfigError, match="development"):
        await rig.service.colleagues.reload()
    assert rig.service.generation is first
    await rig.service.close(1)


async def test_what_waits_for_a_restart_is_told_until_there_was_one_or_it_was_taken_back(rig: Rig) -> None:
    await rig.service.open()
    port = "global.stores.memory.service.port"
    rig.following = rig.config(service={"port": 9000})
    assert (await rig.service.colleagues.reload()).needs_restart == (port,)
    rig.following = rig.config(service={"port": 9000}, deadline_ms=4000)
    assert (await rig.service.colleagues.reload()).needs_restart == (port,)
    rig.following = rig.config()
    result = await rig.service.colleagues.reload()
    assert port in result.changed
    assert result.needs_restart == ()
    await rig.service.close(1)
