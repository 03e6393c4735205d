"""Publishing from a backend: the public names of `portward.client.publisher`."""

from portward.client.publisher import *  # noqa: F403 - the same names, which `__all__` lists there
from portward.client.publisher import __all__
