"""The interfaces, through real ASGI applications and servers."""
