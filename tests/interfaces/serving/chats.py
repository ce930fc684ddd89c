"""Clients that chat until they are told to stop, and note what became of each chat."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx

__all__ = ["Chats"]


@dataclass(slots=True)
class Chats:
    """What became of the chats of many clients.

    Attributes:
        done: The texts of chats whose reply the client has received to the end.
        failed: What went wrong with others.
    """

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stopping: bool = False
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def client(self, url: str, user: str) -> None:
        """Streams one chat after the other."""
        number = 0
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http:
            while not self.stopping:
                number += 1
                text = f"{user} remembers the number {number} and the word walnut-{number}"
                await self._chat(http, user, text)
                self._ended.set()

    async def run(self, url: str, clients: int) -> list[asyncio.Task[None]]:
        """Starts so many clients, and waits until each has been answered."""
        tasks = [asyncio.create_task(self.client(url, f"user-{index}")) for index in range(clients)]
        while len(self.done) < clients and not self.failed:
            await self.another()
        return tasks

    async def another(self) -> None:
        """Waits until one more chat has ended."""
        self._ended.clear()
        await self._ended.wait()

    async def _chat(self, http: httpx.AsyncClient, user: str, text: str) -> None:
        body = {"model": "echo", "stream": True, "messages": [{"role": "user", "content": text}]}
        headers = {"x-authz-user-id": user, "x-vsr-selected-decision": "wide"}
        try:
            async with http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as reply:
                received = "".join([part async for part in reply.aiter_text()])
        except httpx.HTTPError as error:
            self.failed.append(f"{type(error).__name__}: {error}")
            self.stopping = self.stopping or isinstance(error, httpx.ConnectError)
            return
        if reply.status_code == 200 and received.rstrip().endswith("data: [DONE]"):
            self.done.append(text)
        else:
            self.failed.append(f"{reply.status_code}: {received[-200:]}")
