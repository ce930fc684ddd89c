"""The library's front door: memory for requests, the memories themselves, and what an operator asks of them."""

from router_memory.memory.plugin import MemoryPlugin

__all__ = ["MemoryPlugin"]
