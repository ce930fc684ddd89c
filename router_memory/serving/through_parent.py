"""The other workers, reached through the parent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_memory.service import ReloadResult
from router_memory.serving.channel import Channel, ChannelClosed
from router_memory.serving.reload import COMMIT_SECONDS, PREPARE_SECONDS

__all__ = ["ThroughParent"]

_GATHER_SECONDS = 5.0  # the parent leaves out who is late before that


class ThroughParent:
    """All workers of a service; implements `Colleagues`.

    Args:
        channel: To the parent.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def reload(self) -> ReloadResult:
        """See `Colleagues.reload`."""
        found = await self._channel.ask("reload", within=PREPARE_SECONDS + 3 * COMMIT_SECONDS)
        return ReloadResult(
            generation=int(found["generation"]),
            changed=tuple(found["changed"]),
            needs_restart=tuple(found["needs_restart"]),
            warnings=tuple(found["warnings"]),
            workers=int(found["workers"]),
        )

    async def gather(self, topic: str) -> list[Mapping[str, Any]]:
        """See `Colleagues.gather`. Nothing while the parent is away."""
        try:
            return list(await self._channel.ask("gather", within=_GATHER_SECONDS, topic=topic))
        except ChannelClosed:
            return []
