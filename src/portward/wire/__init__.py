"""Bytes to request heads, frames and whole messages, and back: no socket, no clock, no log."""
