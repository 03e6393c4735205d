"""The composition root: builds a gateway from the concrete classes of all other packages."""

from portward.app.gateway import Gateway

__all__ = ["Gateway"]
