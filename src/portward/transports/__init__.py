"""Sockets: listener, door, the WebSocket road behind it, and the ASGI adapter beside it."""
