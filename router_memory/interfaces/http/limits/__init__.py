"""What no request may do: send too much, too slowly, or too often; and what every response carries."""

from router_memory.interfaces.http.limits.limited import limited

__all__ = ["limited"]
