"""The memory API: `/v1/memory`, see docs/api.md."""

from fastapi import APIRouter

from router_memory.interfaces.http.memory import collection, records, search, transfer

__all__ = ["router"]

router = APIRouter()
for _part in (transfer, search, collection, records):  # the paths with names of their own before the one with an id
    router.include_router(_part.router)
