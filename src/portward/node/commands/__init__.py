"""Commands of clients: dispatch and handlers."""
