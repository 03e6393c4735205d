"""The shape of a rule: what it looks at, what it finds, how grave that is."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from portward.settings.endpoint import Endpoint
from portward.settings.tree import Settings


class Level(StrEnum):
    """How a rule is met."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """What one rule says: its id, how grave it is, what is the matter, and the line to change.

    With `level` ok, `what` says what is right and `change` is empty.
    """

    id: str
    level: Level
    what: str
    change: str = ""


class Problem(NamedTuple):
    """Something a rule objects to."""

    level: Level
    what: str
    change: str


class Context(NamedTuple):
    """What rules may ask: the settings, and what they cannot know by themselves.

    `parse_origin` raises ValueError for what is no origin; `exists` tells whether a file does.
    """

    settings: Settings
    parse_origin: Callable[[str], object]
    exists: Callable[[str], bool]

    @property
    def grave(self) -> Level:
        """The level of what development puts up with and production does not."""
        return Level.FAIL if self.settings.production else Level.WARN

    @property
    def served(self) -> dict[str, Endpoint]:
        """The endpoints that are switched on, by name."""
        return {
            name: endpoint for name, endpoint in self.settings.endpoints.items() if endpoint.enabled
        }


Judge: TypeAlias = Callable[[Context], Iterator[Problem]]


class Rule(NamedTuple):
    """A rule: `right` is what holds when `judge` finds nothing.

    With `always`, what the rule fails stops any start; else it stops production alone.
    """

    id: str
    right: str
    judge: Judge
    always: bool = False
