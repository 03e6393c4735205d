"""The messages of the alerts protocol: those of clients, and the `payload` of the gateway's."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from portward.model.errors import ErrorKind
from portward.protocols.alerts.record import Alert
from portward.protocols.message import (
    AnyId,
    Expiry,
    JsonDetails,
    Milliseconds,
    Received,
    Returning,
    Sent,
    SincePosition,
    StreamPosition,
    Wait,
    enumerate_codes,
    error_codes,
)

TEXTS: Final = {
    ErrorKind.INVALID_FORMAT: "Invalid JSON",
    ErrorKind.INVALID_STRUCTURE: "Invalid message",
    ErrorKind.UNKNOWN_CHANNEL: ErrorKind.PERMISSION_DENIED.text,
    ErrorKind.UNKNOWN_ROOM: ErrorKind.PERMISSION_DENIED.text,
}
"""Texts of this protocol where they differ from the default text of a command error."""

CODES: Final = {
    ErrorKind.INVALID_FORMAT: "invalid_json",
    ErrorKind.INVALID_STRUCTURE: "invalid_message",
    ErrorKind.UNKNOWN_CHANNEL: ErrorKind.PERMISSION_DENIED.code,
    ErrorKind.UNKNOWN_ROOM: ErrorKind.PERMISSION_DENIED.code,
}

ERRORS: Final = error_codes(CODES, TEXTS)

CallIds = Annotated[
    list[Any],
    Meta(
        description="Call ids: texts of 1 to 64 characters, or `*` for all calls. Others are left out.",
        extra_json_schema={"items": {"type": "string"}},
    ),
]
Limit = Annotated[
    Any,
    Meta(
        description="Alerts at most, 50 by default, 100 at most; 0 for the positions alone.",
        extra_json_schema={"type": ["number", "string", "null"]},
    ),
]


class AlertsEnvelope(msgspec.Struct, frozen=True):
    """What every message of the gateway is wrapped in."""

    type: str
    payload: Any
    id: AnyId | UnsetType = UNSET


# -- what clients send


class AlertsRequest(Received, frozen=True, tag_field="type"):
    """The common part: the type is in the same object."""

    id: AnyId | UnsetType = UNSET


class AlertsSubscribe(AlertsRequest, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to the alerts of calls; with `since`, what came after these positions follows."""

    call_ids: CallIds
    since: dict[str, SincePosition] | None = None


class AlertsUnsubscribe(AlertsRequest, frozen=True, tag="unsubscribe"):
    """Unsubscribe from these calls, or without `callIds` from all."""

    call_ids: CallIds | UnsetType = UNSET


class AlertsReadHistory(AlertsRequest, frozen=True, tag="getHistory"):
    """Read the newest alerts of one call, or of all that are subscribed to."""

    limit: Limit = None
    call_id: str | None = None


class AlertsPing(AlertsRequest, frozen=True, tag="ping"):
    """Ask for a sign of life."""


class AlertsRefresh(AlertsRequest, frozen=True, kw_only=True, tag="refresh"):
    """Replace the access token by a newer one of the same user."""

    token: str


# -- what the gateway sends


class AlertsHandshake(Sent, frozen=True):
    """The first message of a connection."""

    session_id: str
    message: Literal["Connected to alert server"]


class AlertsSubscribed(Sent, frozen=True):
    """All calls that are subscribed to now; `denied` are those asked for that the user may not read."""

    call_ids: list[str]
    denied: list[str] | UnsetType = UNSET
    recovered: dict[str, bool] | UnsetType = UNSET


class AlertsUnsubscribed(Sent, frozen=True):
    """The calls that are still subscribed to."""

    call_ids: list[str]


class AlertsAlert(Alert, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An alert. `suppressed` alerts of its kind were left out before it; `late`: a cooldown held it back."""

    suppressed: int = 0
    late: bool = False


class AlertsHistory(Sent, frozen=True):
    """Alerts, oldest first; after a limit of 0 the positions of the calls."""

    alerts: Sequence[Alert]
    positions: dict[str, StreamPosition] | UnsetType = UNSET


class AlertsPong(Sent, frozen=True):
    """The answer to `ping`."""

    timestamp: Milliseconds


class AlertsRefreshed(Sent, frozen=True):
    """A newer token is in force."""

    expires_at: Expiry


class AlertsExpiring(Sent, frozen=True):
    """The token expires soon: send `refresh`."""

    expires_at: Expiry


class AlertsShutdown(Sent, frozen=True, kw_only=True):
    """This gateway process is stopping; the connection closes soon."""

    message: Literal["Server shutting down"]
    reconnect_url: str | UnsetType = UNSET
    retry_ms: Wait


class AlertsClosing(Sent, frozen=True):
    """The connection closes now, and the client may connect again after this time."""

    reason: Returning
    retry_ms: Wait


class AlertsError(Sent, frozen=True):
    """A command is refused, or with `callId` a subscription is withdrawn; the connection stays open."""

    message: str
    code: Annotated[str, enumerate_codes(ERRORS)]
    call_id: str | UnsetType = UNSET
    retry_ms: Wait | UnsetType = UNSET
    details: JsonDetails | UnsetType = UNSET
