"""Parsing and building of request heads, frames and messages: no socket, no clock, no log."""
