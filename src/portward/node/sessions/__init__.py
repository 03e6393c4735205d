"""Sessions: state of a connection, its transport, timers and limits."""
