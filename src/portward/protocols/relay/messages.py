"""The messages of the relay protocol. The type is in the same object as the fields.

Events of the upstream are not among them: they pass unchanged.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import UNSET, UnsetType

from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, ErrorKind
from portward.protocols.message import (
    AnyId,
    ErrorCode,
    Expiry,
    JsonDetails,
    Received,
    Returning,
    Sent,
    Wait,
    enumerate_codes,
)

_INVALID_TOKEN: Final = ("invalid_token", "Invalid token")
FAULTS: Final[Mapping[ErrorKind, tuple[str, str]]] = {
    ErrorKind.AUTHENTICATION_FAILED: _INVALID_TOKEN,
    ErrorKind.TOKEN_REVOKED: _INVALID_TOKEN,
    ErrorKind.TOKEN_REQUIRED: _INVALID_TOKEN,
    ErrorKind.NOT_AUTHENTICATED: ("not_authenticated", "Authentication required"),
    **dict.fromkeys(RATE_FAULTS, ("rate_limited", "Too many requests")),
}
"""Codes and texts of this protocol where they differ from those of the command error."""

PARTINGS: Final[Mapping[Disconnect, tuple[str, str]]] = {
    Disconnect.AUTH_TIMEOUT: ("auth_timeout", "Authentication timeout"),
    Disconnect.BAD_GATEWAY: ("upstream_unavailable", "Upstream unavailable"),
    Disconnect.QUOTA: ("quota_exceeded", "Quota exceeded"),
    Disconnect.EXPIRED: ("token_expired", "Token expired"),
    Disconnect.REVOKED: ("revoked", "Session revoked"),
}
"""Disconnects that are reported in an error before the close."""

_KINDS: Final = (
    *FAULTS,
    ErrorKind.NOT_CONNECTED,
    ErrorKind.EVENT_REFUSED,
    ErrorKind.MODEL_REFUSED,
    ErrorKind.LIMIT_EXCEEDED,
    ErrorKind.TOO_LONG,
    ErrorKind.UNAVAILABLE,
    ErrorKind.INTERNAL,
)


def _errors() -> tuple[ErrorCode, ...]:
    found = {}
    for kind in _KINDS:
        code, text = FAULTS.get(kind, (kind.code, kind.text))
        found[code] = ErrorCode(code, text, kind.temporary)
    for ending, (code, text) in PARTINGS.items():
        found[code] = ErrorCode(code, text, ending.reconnect)
    return tuple(found.values())


ERRORS: Final = _errors()


# -- what clients send


class RelayRequest(Received, frozen=True, tag_field="type"):
    """The common part of what clients send to the gateway."""

    id: AnyId | UnsetType = UNSET


class RelayAuthenticate(RelayRequest, frozen=True, kw_only=True, tag="authenticate"):
    """Prove who the user is; during a conversation, replace the token by a newer one."""

    token: str


class RelayRefresh(RelayRequest, frozen=True, kw_only=True, tag="refresh"):
    """Replace the token by a newer one of the same user."""

    token: str


class RelayConnect(RelayRequest, frozen=True, tag="connect_realtime"):
    """Connect to the upstream; what follows goes there."""

    model: str | UnsetType = UNSET


class RelayPing(RelayRequest, frozen=True, tag="ping"):
    """Ask the gateway for a sign of life; is not passed to the upstream."""


# -- what the gateway sends


class RelayMessage(Sent, frozen=True, tag_field="type"):
    """The common part of what the gateway sends."""


class RelayAuthSuccess(RelayMessage, frozen=True, kw_only=True, tag="auth_success"):
    """The connection is authenticated."""

    user_id: str
    id: AnyId | UnsetType = UNSET


class RelayConnected(RelayMessage, frozen=True, tag="realtime_connected"):
    """The upstream is connected: from now on messages go there and come from there."""

    model: str | UnsetType = UNSET
    id: AnyId | UnsetType = UNSET


class RelayRefreshSuccess(RelayMessage, frozen=True, kw_only=True, tag="refresh_success"):
    """A newer token is in force."""

    expires_at: Expiry
    id: AnyId | UnsetType = UNSET


class RelayPong(RelayMessage, frozen=True, tag="pong"):
    """The answer to `ping`."""

    id: AnyId | UnsetType = UNSET


class RelayTokenExpiring(RelayMessage, frozen=True, tag="token_expiring"):
    """The token expires soon: send `refresh`."""

    expires_at: Expiry


class RelayShutdown(RelayMessage, frozen=True, tag="shutdown"):
    """This gateway process is stopping; the connection closes soon."""

    retry_ms: Wait


class RelayClosing(RelayMessage, frozen=True, tag="closing"):
    """The connection closes now, and the client may connect again after this time."""

    reason: Returning
    retry_ms: Wait


class RelayError(RelayMessage, frozen=True, kw_only=True, tag="error"):
    """A command or an event is refused; or, for some endings, why the connection closes now."""

    code: Annotated[str, enumerate_codes(ERRORS)]
    message: str
    retry_ms: Wait | UnsetType = UNSET
    retry_after_ms: Wait | UnsetType = UNSET
    event: str | UnsetType = UNSET
    details: JsonDetails | UnsetType = UNSET
    id: AnyId | UnsetType = UNSET
