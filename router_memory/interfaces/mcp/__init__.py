"""Memory for agents, by the Model Context Protocol: on standard input and output for one user, and over HTTP."""

from router_memory.interfaces.mcp.asgi import mcp_app
from router_memory.interfaces.mcp.stdio import serve_stdio

__all__ = ["mcp_app", "serve_stdio"]
