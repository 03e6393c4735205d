"""Older public names: they work for one release, with a warning that contains the new name."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def older_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a module that maps older names to their new ones.

    `names` maps each older name to its new place, such as `portward.model.errors.CommandError`.

    Raises (the function that is returned):
        AttributeError: the name is none of them.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place = names[name]
        home, _, new = place.rpartition(".")
        warnings.warn(f"{module}.{name} is now {place}", DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), new)

    return find
