"""What operators and their tools ask: probes, metrics, state, events, decisions, and loading the configuration anew."""

from fastapi import APIRouter

from router_memory.interfaces.http.operations import decisions, events, health, metrics, reload, state
from router_memory.interfaces.http.operations.parts import register

__all__ = ["register", "router"]

router = APIRouter()
for _room in (health, metrics, reload, state, events, decisions):
    router.include_router(_room.router)
