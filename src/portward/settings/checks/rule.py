"""The shape of a rule: what it looks at, what it finds, how grave that is."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from portward.model.namespace import Namespace
from portward.settings.endpoint import EndpointSettings
from portward.settings.tree import Settings


class CheckLevel(StrEnum):
    """How a rule is met. `skip`: it is about a part that is not in use, and looked at nothing."""

    OK = "ok"
    SKIP = "skip"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """What one rule says: its id, how grave it is, what is the matter, and the line to change.

    With `level` ok, `what` says what is right and `change` is empty; with `skip` it says what is not
    in use.
    """

    id: str
    level: CheckLevel
    what: str
    change: str = ""


class CheckProblem(NamedTuple):
    """Something a rule objects to."""

    level: CheckLevel
    what: str
    change: str


class StoreFacts(NamedTuple):
    """What an engine address says: servers and options, as its own parser reads them.

    `remote`: a server is on another machine. `key_files`: private keys that the address names.
    """

    remote: bool = False
    encrypted: bool = False
    password: bool = False
    key_files: tuple[str, ...] = ()


def no_origin_parser(_: str) -> object:
    """Accept every origin: for callers that do not judge origins."""
    return None


class Machine(NamedTuple):
    """Facts that the settings do not contain: files, limits of the process, parsers of other packages.

    The defaults stand for a machine without files and without limits.
    """

    parse_origin: Callable[[str], object] = no_origin_parser
    """Reads an entry of an origin list, wildcards included, or raises ValueError."""
    parse_store: Callable[[str], StoreFacts] = lambda _: StoreFacts()
    """Reads an engine address, or raises ValueError with a text that shows no secret."""
    is_file: Callable[[str], bool] = lambda _: False
    is_folder: Callable[[str], bool] = lambda _: False
    mode: Callable[[str], int | None] = lambda _: None
    """The permission bits of a file; None when there is no such file."""
    descriptors: int = 0
    """Descriptors the process may open, after raising its own limit; 0 for no limit."""
    secret_files: tuple[str, ...] = ()
    """Files that secrets in these settings were read from, the settings file included."""


class Context(NamedTuple):
    """What rules may ask: the settings, and the machine."""

    settings: Settings
    machine: Machine

    @property
    def grave(self) -> CheckLevel:
        """The level of what development puts up with and production does not."""
        return CheckLevel.FAIL if self.settings.production else CheckLevel.WARN

    @property
    def served(self) -> dict[str, EndpointSettings]:
        """The endpoints that are switched on, by name."""
        return {
            name: endpoint for name, endpoint in self.settings.endpoints.items() if endpoint.enabled
        }

    @property
    def used(self) -> Iterator[Namespace]:
        """The namespaces that endpoints lead to."""
        names = {endpoint.namespace for endpoint in self.served.values()}
        return (space for name, space in self.settings.namespaces.items() if name in names)


Judge: TypeAlias = Callable[[Context], Iterator[CheckProblem]]


class CheckRule(NamedTuple):
    """A rule: `right` is what holds when `judge` finds nothing.

    With `always`, what the rule fails stops any start; else it stops production alone. `unused` says
    which part of the gateway, needed for the rule to mean anything, is not in use; empty when it is.
    """

    id: str
    right: str
    judge: Judge
    always: bool = False
    unused: Callable[[Context], str] | None = None
