"""How fast the Valkey store is beside the bare commands it sends, on a real server with the Search module."""
