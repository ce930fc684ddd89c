"""The HTTP interfaces: a proxy for chats, the memory API, the plugin API, operations and the dashboard."""
