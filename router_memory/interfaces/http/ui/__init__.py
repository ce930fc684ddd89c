"""The dashboard at ``/ui``: static files that a browser runs, and the headers that keep it from running any others."""

from router_memory.interfaces.http.ui.routes import router

__all__ = ["router"]
