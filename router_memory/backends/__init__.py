"""One room for each technology. Only `router_memory.wiring` imports from here."""
