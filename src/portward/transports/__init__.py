"""Transports: listener, HTTP acceptor, WebSocket, Engine.IO, and the ASGI adapter."""
