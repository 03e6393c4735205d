"""Protocols of the endpoints: one module each, which decodes and encodes messages and decides nothing."""
