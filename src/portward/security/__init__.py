"""Decisions about strangers: values and the moment in, a verdict out. Deny is the default."""
