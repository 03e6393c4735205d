"""The closed sets of label values; a value that a client invents is counted as `other`."""

import platform
import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple

from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import LimitMode, LimitName
from portward.model.provider import ProviderResult
from portward.model.replies import Push, Reply
from portward.telemetry.events import Event

OTHER: Final = "other"


class Label(NamedTuple):
    """A label with all its possible values."""

    name: str
    values: tuple[str, ...]

    def known(self, value: str) -> str:
        """Return the value itself when it is in the set, else `other`."""
        return value if value in self.values else OTHER


def label(name: str, values: Iterable[str]) -> Label:
    """Make a label of `values`; `other` is always one of them."""
    return Label(name, tuple(dict.fromkeys([*(str(value) for value in values), OTHER])))


class AuthResult(StrEnum):
    """The result of an authentication."""

    OK = "ok"
    FAILED = "failed"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPEATED = "repeated"
    """Refused from memory, without a check: it was refused in the last minutes."""
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"
    """A service that is needed for the check did not answer."""


class RecoveryResult(StrEnum):
    """The result of a recovery: whether the subscriber got what it missed, and why not."""

    RECOVERED = "recovered"
    EPOCH = "epoch"
    TRIMMED = "trimmed"
    TOO_MANY = "too_many"


class GapResult(StrEnum):
    """How a gap was handled."""

    REPAIRED = "repaired"
    LOST = "lost"


@cache
def type_name(kind: type) -> str:
    """The label of a command, reply or push: its class name in snake case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def message_types(*bases: type) -> list[str]:
    """Return the labels of all classes derived from `bases`, those of the protocols at the end."""
    found: list[type] = []
    for base in bases:
        found += _derived(base)
    own = [kind for kind in found if kind.__module__.startswith("portward.model.")]
    others = sorted(type_name(kind) for kind in found if kind not in own)
    return [*map(type_name, own), *others]


def _derived(base: type) -> list[type]:
    found: list[type] = base.__subclasses__()
    return found + [inner for each in found for inner in _derived(each)]


ENDPOINT: Final = Label("endpoint", ())
NAMESPACE: Final = Label("namespace", ())
"""Labels whose values are the configured names, which each gateway puts in their place."""
RECEIVED: Final = Label("type", ("received",))
SENT: Final = Label("type", ("sent",))
"""Labels whose values are the types of messages, with those of the protocols."""


def received() -> Label:
    """Return the label of commands."""
    return label("type", message_types(Command))


def sent() -> Label:
    """Return the label of replies and pushes."""
    return label("type", [*message_types(Reply, Push), "fault", "relayed"])


OPERATIONS: Final = label(
    "operation",
    (
        *("publish", "history", "announce", "listen", "ignore", "remove", "keeps", "channels"),
        *("enter", "leave", "touch", "members"),
        *("facts", "set_roles", "set_permissions", "set_workspaces"),
        *("room", "rooms", "save_room", "make_room", "keep_room", "remove_room"),
        *("save", "swap", "release", "drop", "put_ticket", "take_ticket"),
        *("add", "covers", "since", "take", "start", "stop", "sweep"),
    ),
)
"""The methods of an engine's ports, under the names that the metric has always had."""
REASONS: Final = label("reason", (refusal.reason for refusal in HandshakeRejection))
ENDINGS: Final = label("ending", (ending.name.lower() for ending in Disconnect))
CODES: Final = label("code", (kind.code for kind in ErrorKind))
RESULTS: Final = label("result", AuthResult)
RECOVERIES: Final = label("result", RecoveryResult)
GAPS: Final = label("result", GapResult)
PROVIDER_RESULTS: Final = label("result", ProviderResult)
LIMITS: Final = label("limit", LimitName)
MODES: Final = label("mode", LimitMode)
EVENTS: Final = label("event", Event)


def build(version: str) -> tuple[Label, ...]:
    """Return the labels of the program that is running, each with its one value."""
    return Label("version", (version,)), Label("python", (platform.python_version(),))
