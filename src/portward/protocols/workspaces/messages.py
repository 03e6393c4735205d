"""The events of workspaces: the one argument of each, and of its acknowledgement."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from portward.model.approval import Decision
from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.protocols.message import (
    ErrorCode,
    Expiry,
    Json,
    JsonDetails,
    Milliseconds,
    Received,
    Sent,
    Wait,
    enumerate_codes,
)
from portward.protocols.socketio import codes

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Room = Annotated[str, Meta(max_length=160, description="`workspace:{id}:{kind}`")]
Done = Annotated[bool, Meta(extra_json_schema={"const": True})]
Version = Annotated[int, Meta(ge=0)]

_SENT: Final = frozenset(Disconnect) - {
    Disconnect.NORMAL,
    Disconnect.SHUTDOWN,
    Disconnect.UPSTREAM_CLOSED,
}


def _faults() -> tuple[ErrorCode, ...]:
    temporary: dict[str, bool] = {"CONFLICT": False, "ACCESS_DENIED": False}
    for kind in ErrorKind:
        code = codes.code_of(kind)
        temporary[code] = temporary.get(code, False) or kind.temporary
    return tuple(ErrorCode(code, "", later) for code, later in temporary.items())


def _endings() -> tuple[ErrorCode, ...]:
    found = {codes.ending_code(ending): ending.reconnect for ending in _SENT}
    known = {each.code for each in FAULTS}
    ordered = sorted((found | {codes.admission_code(Disconnect.INTERNAL): True}).keys() - known)
    return tuple(ErrorCode(code, "", found.get(code, True)) for code in ordered)


FAULTS: Final = _faults()
"""Codes of acknowledgements; an application adds its own."""
ENDINGS: Final = _endings()
"""Further codes, of the event `error` before a disconnect."""


# -- what clients emit


class WorkspacesRoom(Received, frozen=True):
    """One room of a workspace."""

    room: Room


class WorkspacesAction(Received, frozen=True):
    """Do something in a dashboard."""

    action: Name
    payload: Json = None


class WorkspacesResponse(Received, frozen=True):
    """Decide on a request for approval."""

    request_id: Annotated[str, Meta(min_length=1, max_length=64)]
    decision: Decision
    comment: Annotated[str, Meta(max_length=2000)] | None = None


class WorkspacesState(Received, frozen=True):
    """Set a value that all windows of the user share; with `version` only if that is the present one."""

    key: Name
    value: Json
    version: Version | None = None


class WorkspacesToken(Received, frozen=True):
    """Replace the token by a newer one of the same user."""

    token: str


# -- what acknowledges it


class WorkspacesRefused(Sent, frozen=True):
    """The event is refused."""

    error: Annotated[str, Meta(examples=[error.code for error in FAULTS])]
    details: JsonDetails | Any | UnsetType = UNSET
    retry_ms: Wait | UnsetType = UNSET


class WorkspacesJoined(Sent, frozen=True):
    """The room is joined."""

    joined: Room


class WorkspacesLeft(Sent, frozen=True):
    """The room is left."""

    left: Room


class WorkspacesActed(Sent, frozen=True):
    """The action is done; `result` is what the application returned."""

    ok: Done
    result: Json | UnsetType = UNSET


class WorkspacesDone(Sent, frozen=True):
    """It is done."""

    ok: Done


class WorkspacesShared(Sent, frozen=True):
    """The value is set, and has this version."""

    ok: Done
    version: Version


class WorkspacesConflict(Sent, frozen=True):
    """Another value is set, with this version."""

    error: Annotated[str, Meta(extra_json_schema={"const": "CONFLICT"})]
    version: Version
    value: Json


class WorkspacesRefreshed(Sent, frozen=True):
    """A newer token is in force."""

    ok: Done
    expires_at: Expiry


# -- what the gateway emits


class WorkspacesUpdate(Sent, frozen=True):
    """A user did something in a dashboard."""

    action: Name
    payload: Json
    user_id: str


class WorkspacesRequested(Sent, frozen=True):
    """A request for approval waits for a decision."""

    request_id: str
    title: str
    data: Json
    expires_at: Milliseconds


class WorkspacesResolved(Sent, frozen=True):
    """A request for approval is decided."""

    request_id: str
    decision: Decision
    user_id: str
    comment: str | UnsetType = UNSET


class WorkspacesChanged(Sent, frozen=True):
    """Another window of the user has set a shared value."""

    key: Name
    value: Json
    version: Version


class WorkspacesExpiring(Sent, frozen=True):
    """The token expires soon: emit `token_refresh`."""

    expires_at: Expiry


class WorkspacesRemoved(Sent, frozen=True):
    """A room is left, not by the client's own command."""

    room: Room
    reason: str


class WorkspacesError(Sent, frozen=True):
    """Why the connection ends, or why an event without an acknowledgement is refused."""

    code: Annotated[str, enumerate_codes((*FAULTS, *ENDINGS))]
    retry_ms: Wait | UnsetType = UNSET


class WorkspacesShutdown(Sent, frozen=True):
    """This gateway process is stopping; the connection closes soon."""

    retry_ms: Wait
