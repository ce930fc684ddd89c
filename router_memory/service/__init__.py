"""What one process serves: a configuration's memory, replaced as a whole when the configuration is loaded anew."""

from router_memory.service.colleagues import Alone, Colleagues, ReloadResult
from router_memory.service.generation import Generation
from router_memory.service.service import Service

__all__ = ["Alone", "Colleagues", "Generation", "ReloadResult", "Service"]
