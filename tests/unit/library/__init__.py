"""The library: `MemoryPlugin`, `SyncMemory`, what importing costs."""
