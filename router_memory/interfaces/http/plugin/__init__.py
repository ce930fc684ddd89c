"""The plugin API, for routers in other languages: `/v1/plugin`, see docs/api.md."""

from router_memory.interfaces.http.plugin.routes import router

__all__ = ["router"]
