"""What one decision says about memory: the `configuration` of its plugin of `type: memory`."""

from __future__ import annotations

from router_memory.config.model import HybridMode
from router_memory.config.reflection import ReflectionOverride
from router_memory.config.section import Limit, Section, Share

__all__ = ["PluginSection"]


class PluginSection(Section):
    """A decision's own values: a key that is absent keeps the global value."""

    enabled: bool | None = None
    retrieval_limit: Limit | None = None
    similarity_threshold: Share | None = None
    auto_store: bool | None = None
    hybrid_search: bool | None = None
    hybrid_mode: HybridMode | None = None
    adaptive_threshold: bool | None = None
    reflection: ReflectionOverride = ReflectionOverride()
