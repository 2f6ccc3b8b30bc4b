"""The HTTP gateway: an ASGI app in front of both services, and the client it calls them with."""
