"""Data types and tables shared by all packages. Imports the standard library and msgspec only."""
