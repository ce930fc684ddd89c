"""Configuration: the file an operator writes, and the policies it comes to.

    config = load_config("config.yaml")
    policy = config.policy("personalized_route")

The shape is that of vLLM Semantic Router. Ours are `global.stores.memory` and each decision's plugin of
`type: memory`; the rest of such a file is left alone. `docs/configuration.md` lists every key.
"""

from router_memory.config.load import load_config
from router_memory.config.loaded import Config
from router_memory.config.model import IdentitySection, MemorySection
from router_memory.config.plugin_model import PluginSection
from router_memory.config.service import ServiceSection

__all__ = ["Config", "IdentitySection", "MemorySection", "PluginSection", "ServiceSection", "load_config"]
