"""The form of a rule: its check, its findings, their levels."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from portward.model.namespace import Namespace
from portward.settings.endpoint import EndpointSettings
from portward.settings.tree import Settings

T = TypeVar("T")


class CheckLevel(StrEnum):
    """The result of a rule. `skip`: the rule is about a part that is not in use, and checked nothing."""

    OK = "ok"
    SKIP = "skip"
    WARN = "warn"
    FAIL = "fail"


WARN: Final = CheckLevel.WARN
FAIL: Final = CheckLevel.FAIL


class Finding(NamedTuple):
    """The finding of one rule: its id, its level, the problem, and the line to change.

    With `level` ok, `what` describes the correct state and `change` is empty; with `skip`, `what` names the
    part that is not in use.
    """

    id: str
    level: CheckLevel
    what: str
    change: str = ""


class StoreFacts(NamedTuple):
    """Facts from an engine address: servers and options, as the engine's own parser reads them.

    `remote`: a server is on another machine. `key_files`: private key files that the address names.
    """

    remote: bool = False
    encrypted: bool = False
    password: bool = False
    key_files: tuple[str, ...] = ()


def no_origin_parser(_: str) -> object:
    """Accept every origin, for callers that do not check origins."""
    return None


class Machine(NamedTuple):
    """Facts that are not in the settings: files, limits of the process, parsers of other packages.

    The defaults describe a machine without files and without limits.
    """

    parse_origin: Callable[[str], object] = no_origin_parser
    """A function that parses an entry of an origin list, wildcards included, or raises ValueError."""
    parse_store: Callable[[str], StoreFacts] = lambda _: StoreFacts()
    """A function that parses an engine address, or raises ValueError with a text without secrets."""
    is_file: Callable[[str], bool] = lambda _: False
    is_folder: Callable[[str], bool] = lambda _: False
    mode: Callable[[str], int | None] = lambda _: None
    """A function that returns the permission bits of a file; None when there is no such file."""
    descriptors: int = 0
    """The number of descriptors that the process may open after raising its limit; 0 for no limit."""
    secret_files: tuple[str, ...] = ()
    """Files that secrets in these settings were read from, including the settings file."""


class Context(NamedTuple):
    """The input of a rule: the settings, and the facts of the machine."""

    settings: Settings
    machine: Machine

    @property
    def production(self) -> bool:
        """Whether the settings are for production."""
        return self.settings.production

    @property
    def grave(self) -> CheckLevel:
        """The level of a problem that is tolerated in development but not in production."""
        return FAIL if self.production else WARN

    @property
    def served(self) -> dict[str, EndpointSettings]:
        """The enabled endpoints, by name."""
        return {
            name: endpoint for name, endpoint in self.settings.endpoints.items() if endpoint.enabled
        }

    @property
    def used(self) -> Iterator[Namespace]:
        """The namespaces of the endpoints."""
        names = {endpoint.namespace for endpoint in self.served.values()}
        return (space for name, space in self.settings.namespaces.items() if name in names)


Problems: TypeAlias = Iterator[tuple[CheckLevel, str, str]]
"""The problems that a rule has found: the level of each, what is wrong, and the line to change."""
Judge: TypeAlias = Callable[[Context], Problems]
PartJudge: TypeAlias = Callable[[Context, str, T], Problems]


class Unused(NamedTuple):
    """A part of the gateway that rules are about: what is said when it is not in use, and whether it is."""

    reason: str
    used: Callable[[Context], Any]


class CheckRule(NamedTuple):
    """A rule: `right` is the correct state, reported when `judge` finds nothing.

    With `always`, a failure of the rule prevents any start; otherwise only a start in production. The rule is
    skipped when one of the parts in `unused` is not in use.
    """

    id: str
    right: str
    unused: tuple[Unused, ...]
    always: bool
    judge: Judge


class RuleTable:
    """The rules of one section, in the order in which they are listed."""

    def __init__(self) -> None:
        self.rules: list[CheckRule] = []

    def rule(
        self, name: str, right: str, *unused: Unused, always: bool = False
    ) -> Callable[[Judge], Judge]:
        """Add a rule, which is the decorated function."""

        def add(judge: Judge) -> Judge:
            self.rules.append(CheckRule(name, right, unused, always, judge))
            return judge

        return add

    def each(
        self,
        parts: Callable[[Context], Iterable[tuple[str, T]]],
        name: str,
        right: str,
        *unused: Unused,
        always: bool = False,
    ) -> Callable[[PartJudge[T]], PartJudge[T]]:
        """Add a rule about each of several parts; the decorated function gets a part and its name."""

        def add(judge: PartJudge[T]) -> PartJudge[T]:
            def all_of(context: Context) -> Problems:
                for key, given in parts(context):
                    yield from judge(context, key, given)

            self.rules.append(CheckRule(name, right, unused, always, all_of))
            return judge

        return add

    def endpoints(
        self, name: str, right: str, *unused: Unused, always: bool = False
    ) -> Callable[[PartJudge[EndpointSettings]], PartJudge[EndpointSettings]]:
        """Add a rule about each enabled endpoint; the decorated function gets its name and its settings."""
        return self.each(
            lambda context: context.served.items(), name, right, *unused, always=always
        )
