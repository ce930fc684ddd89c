"""A new configuration for all workers, or for none: each prepares it beside the old one, then all change over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from router_memory.errors import ConfigError, RouterMemoryError
from router_memory.serving.channel import ChannelClosed

if TYPE_CHECKING:
    from router_memory.serving.hand import Hand
    from router_memory.serving.material import Material

__all__ = ["COMMIT_SECONDS", "PREPARE_SECONDS", "abandon", "commit", "prepare"]

PREPARE_SECONDS = 300.0
"""A new model may have to be exported first."""
COMMIT_SECONDS = 10.0
"""Changing over waits for nothing."""


async def prepare(workers: Sequence[Hand], material: Material, first: Material) -> dict[str, Any]:
    """Opens what the configuration asks for in every worker, beside what each has.

    Args:
        workers: Those that serve.
        material: The configuration.
        first: The one that the service was started with.

    Returns:
        What the workers found to differ, the same for all: ``changed`` from what is served, ``needs_restart`` from what
        the service was started with, and ``warnings``.

    Raises:
        ConfigError: It cannot be served. No worker has changed.
        RouterMemoryError: The same, for other reasons.
    """
    asked = [
        worker.ask("prepare", within=PREPARE_SECONDS, material=material.carried(), first=first.carried())
        for worker in workers
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    if failed:
        await abandon(workers)
        raise _worst(failed)
    return dict(answers[0]) if answers else {"changed": [], "needs_restart": [], "warnings": []}  # type: ignore[arg-type]


async def commit(workers: Sequence[Hand], material: Material) -> int:
    """Changes every worker over. One that does not is killed, and replaced by one that has the new configuration.

    Returns:
        How many changed over.
    """

    async def change(worker: Hand) -> bool:
        try:
            await worker.ask("commit", within=COMMIT_SECONDS, generation=material.generation)
        except RouterMemoryError:
            worker.kill()
            return False
        worker.generation = material.generation
        return True

    return sum(await asyncio.gather(*(change(worker) for worker in workers)))


async def abandon(workers: Sequence[Hand]) -> None:
    """Has every worker drop what it prepared."""
    asked = [worker.ask("abandon", within=COMMIT_SECONDS) for worker in workers]
    await asyncio.gather(*asked, return_exceptions=True)


def _worst(errors: Sequence[BaseException]) -> BaseException:
    """The one that tells most: what is wrong with the configuration, else what failed, else that a worker died."""
    for kind in (ConfigError, RouterMemoryError):
        for error in errors:
            if isinstance(error, kind) and not isinstance(error, ChannelClosed):
                return error
    return RouterMemoryError("a worker ended, or did not answer, while it prepared the configuration; try again")
