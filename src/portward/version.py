"""The version of this package, in a module of its own that everyone may import."""

__version__ = "0.1.0"
