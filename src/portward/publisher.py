"""Publishing from a backend: the public names of `portward.client.publisher`."""

from portward.client.publisher import *  # noqa: F403 - the same names, which `__all__` lists there
from portward.client.publisher import __all__ as __all__  # noqa: PLC0414 - says that it is public
