"""The closed sets of label values; a value that a client invents is counted as `other`."""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from types import ModuleType
from typing import Final, NamedTuple

from portward.model import commands, replies
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import LimitMode, LimitName
from portward.model.provider import ProviderResult
from portward.model.replies import Push, Reply

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


def _types(module: ModuleType, *bases: type) -> tuple[str, ...]:
    """Return the names of all classes in `module` that are derived from one of `bases`."""
    found: list[type] = [item for item in vars(module).values() if isinstance(item, type)]
    derived: list[type] = [kind for kind in found if issubclass(kind, bases) and kind not in bases]
    return tuple(map(type_name, derived))


RECEIVED_TYPES: Final = (*_types(commands, Command), "relayed")
SENT_TYPES: Final = (*_types(replies, Reply, Push), "fault", "relayed")
ENGINE_OPERATIONS: Final = (
    *("publish", "history", "announce", "listen", "ignore", "remove", "keeps", "channels"),
    *("enter", "leave", "touch", "members"),
    *("facts", "set_roles", "set_permissions", "set_workspaces"),
    *("room", "rooms", "save_room", "make_room", "keep_room", "remove_room"),
    *("save", "swap", "release", "drop", "put_ticket", "take_ticket"),
    *("add", "covers", "since", "take", "start", "stop", "sweep"),
)
"""The methods of an engine's ports."""

REASON: Final = {refusal: refusal.reason for refusal in HandshakeRejection}
ENDING: Final = {ending: ending.name.lower() for ending in Disconnect}
CODE: Final = {kind: kind.code for kind in ErrorKind}

REASONS: Final = label("reason", REASON.values())
ENDINGS: Final = label("ending", ENDING.values())
CODES: Final = label("code", CODE.values())
RESULTS: Final = label("result", AuthResult)
RECOVERIES: Final = label("result", RecoveryResult)
GAPS: Final = label("result", GapResult)
PROVIDER_RESULTS: Final = label("result", ProviderResult)
LIMITS: Final = label("limit", LimitName)
MODES: Final = label("mode", LimitMode)
