"""Protocols of the endpoints: each translates messages, and has what only its clients need."""
