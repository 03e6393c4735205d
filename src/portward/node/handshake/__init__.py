"""Handshakes: admission, credentials and the limits before a session exists."""
