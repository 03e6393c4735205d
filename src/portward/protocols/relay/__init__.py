"""The relay protocol: clients use a realtime API through the gateway, which keeps its key."""
