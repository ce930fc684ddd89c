"""The OpenAI-compatible proxy: chats with memory."""

from fastapi import APIRouter
from starlette.routing import Route

from router_memory.interfaces.http.proxy.exchange import ChatEndpoint
from router_memory.interfaces.http.proxy.forms import CHAT, RESPONSES
from router_memory.interfaces.http.proxy.models import ModelsEndpoint

__all__ = ["router"]

# Plain ASGI applications: what FastAPI does for a route would cost a chat more than memory does.
router = APIRouter()
router.routes += [
    Route("/v1/chat/completions", ChatEndpoint(CHAT), methods=["POST"], include_in_schema=False),
    Route("/v1/responses", ChatEndpoint(RESPONSES), methods=["POST"], include_in_schema=False),
    Route("/v1/models", ModelsEndpoint(), methods=["GET"], include_in_schema=False),
]
