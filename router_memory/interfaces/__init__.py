"""How the world reaches memory besides the library: over HTTP and over MCP."""
