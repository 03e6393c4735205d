"""Puts the house together: the one room that names concrete classes of every other."""

from portward.app.gateway import Gateway

__all__ = ["Gateway"]
