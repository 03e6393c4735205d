"""Base types of the messages of the protocols.

Each protocol has a module of structs with the keys of its messages. They are used for encoding and
decoding, and the types of clients, the AsyncAPI documents and the checks of examples are generated from them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.security.json_rules import JsonRule

MAX_ID: Final = 64
"""Most characters of a client's own id for a message."""


class Sent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The common part of what the gateway sends."""


class Received(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """The common part of what clients send: unknown keys are refused."""


MessageId = Annotated[
    str, Meta(max_length=MAX_ID, description="The client's own id; the answer carries the same.")
]
AnyId = MessageId | int
Milliseconds = Annotated[int, Meta(description="Unix time in milliseconds.")]
Wait = Annotated[int, Meta(ge=0, description="Milliseconds to wait before the next attempt.")]
Returning = Annotated[
    str,
    Meta(
        description="Name of the ending, as in the table of endings.",
        extra_json_schema={"enum": [each.name.lower() for each in Disconnect if each.reconnect]},
    ),
]
Expiry = Annotated[
    int | None, Meta(description="When the token expires, in Unix milliseconds; null: never.")
]
Offset = Annotated[int, Meta(ge=0)]
Json = Annotated[Any, Meta(description="Any JSON value.")]


class StreamPosition(Sent, frozen=True):
    """A place in a channel's stream; offsets compare only within one epoch."""

    offset: Offset
    epoch: str


class SincePosition(Received, frozen=True):
    """The last position that a client has handled."""

    offset: Offset
    epoch: Annotated[str, Meta(max_length=64)]


class JsonDetails(Sent, frozen=True):
    """The rule of strict JSON that a message breaks, and the number of brackets around that place."""

    rule: Annotated[str, Meta(extra_json_schema={"enum": [rule.code for rule in JsonRule]})]
    depth: int | UnsetType = UNSET


def optional(value: Any) -> Any:
    """The value of a key, or UNSET for a key that is left out."""
    return UNSET if value is None else value


def json_details(details: Mapping[str, Any] | None) -> JsonDetails | UnsetType:
    """The details of a command error in the form for encoding."""
    return UNSET if details is None else JsonDetails(**details)


def milliseconds(seconds: float | None) -> int | None:
    """Seconds as whole milliseconds."""
    return None if seconds is None else int(seconds * 1000)


class ErrorCode(NamedTuple):
    """A code that clients of a protocol may get, and whether the same command may succeed later."""

    code: str
    text: str
    temporary: bool


OTHERS: Final = frozenset(
    {
        ErrorKind.EVENT_REFUSED,
        ErrorKind.MODEL_REFUSED,
        ErrorKind.NOT_CONNECTED,
        ErrorKind.ALREADY_DECIDED,
        ErrorKind.UNKNOWN_NAMESPACE,
    }
)
"""Kinds of command errors that belong to the relay or to Socket.IO."""


def error_codes(
    codes: Mapping[ErrorKind, str], texts: Mapping[ErrorKind, str]
) -> tuple[ErrorCode, ...]:
    """The codes of a protocol, from the kinds of command errors and its own codes and texts."""
    found: dict[str, ErrorCode] = {}
    for kind in ErrorKind:
        code = codes.get(kind, kind.code)
        if kind not in OTHERS:
            found.setdefault(code, ErrorCode(code, texts.get(kind, kind.text), kind.temporary))
    return tuple(found.values())


def enumerate_codes(errors: tuple[ErrorCode, ...]) -> Meta:
    """Constrain a JSON schema to the codes."""
    return Meta(extra_json_schema={"enum": [error.code for error in errors]})
