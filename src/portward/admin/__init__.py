"""The HTTP admin API with health, metrics and its own description, on a listener of its own."""
