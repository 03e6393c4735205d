"""The HTTP admin API with health, metrics and its OpenAPI description, on a separate listener."""
