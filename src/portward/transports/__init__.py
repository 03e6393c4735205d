"""Transports: listener, HTTP acceptor, WebSocket, Engine.IO, the ASGI adapter, the upstream client."""
