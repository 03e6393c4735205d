"""The version of this package, in a module of its own that everyone may import."""

from typing import Final

__version__: Final[str] = "0.1.0"
