"""The messages of every protocol by their types, from the structs that the gateway reads and encodes."""

from collections.abc import Iterator, Mapping
from enum import Enum
from inspect import cleandoc
from typing import Any, Final, NamedTuple

import msgspec

from portward.model.disconnects import Disconnect
from portward.protocols.alerts import messages as alerts
from portward.protocols.alerts.protocol import AlertsProtocol
from portward.protocols.live import messages as live
from portward.protocols.live.protocol import LiveProtocol
from portward.protocols.message import ErrorCode
from portward.protocols.relay import messages as relay
from portward.protocols.relay.protocol import RelayProtocol
from portward.protocols.rooms import messages as rooms
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.protocols.workspaces import messages as workspaces
from portward.protocols.workspaces.protocol import WorkspacesProtocol

Schema = dict[str, Any]


class Form(Enum):
    """Where the keys of a message stand."""

    DATA = "data"
    """`{"type", "data": {…}, "timestamp", "id"?}`"""
    PAYLOAD = "payload"
    """`{"type", "payload": {…}, "id"?}`"""
    FLAT = "flat"
    """`{"type", …}`"""
    EVENT = "event"
    """A Socket.IO event with one argument."""


class Kind(NamedTuple):
    """One type of message: its word, the struct of its keys, what answers it."""

    word: str
    body: type[msgspec.Struct]
    answers: tuple[str, ...] = ()
    text: str = ""

    @property
    def meaning(self) -> str:
        """One sentence, or two."""
        return self.text or cleandoc(self.body.__doc__ or "")


class Contract(NamedTuple):
    """A protocol: what clients send, what the gateway sends, and the codes of both kinds of failure."""

    name: str
    path: str
    summary: str
    client_form: Form
    server_form: Form
    client: tuple[Kind, ...]
    server: tuple[Kind, ...]
    errors: tuple[ErrorCode, ...]
    closes: Mapping[Disconnect, tuple[int, str]]
    acknowledgements: Mapping[str, tuple[type[msgspec.Struct], ...]] = {}
    unlisted: str = ""
    """What else is sent, which no struct describes."""

    @property
    def title(self) -> str:
        """The name as the first part of names of types."""
        return self.name.title()

    def types(self) -> Iterator[type[msgspec.Struct]]:
        """Every struct of the messages."""
        for kind in (*self.client, *self.server):
            yield kind.body
        for bodies in self.acknowledgements.values():
            yield from bodies


ROOMS: Final = Contract(
    name="rooms",
    path="/rooms",
    summary="Chat, shared documents and notifications.",
    client_form=Form.DATA,
    server_form=Form.DATA,
    client=(
        Kind("auth", rooms.RoomsAuth, ("auth_success",)),
        Kind("refresh", rooms.RoomsRefresh, ("refresh_success",)),
        Kind("join", rooms.RoomsJoin, ("room_joined", "joined")),
        Kind("leave", rooms.RoomsLeave, ("room_left",)),
        Kind("message", rooms.RoomsSend, ("ack",)),
        Kind("history", rooms.RoomsReadHistory, ("history",)),
        Kind("presence", rooms.RoomsReadPresence, ("presence",)),
        Kind("heartbeat", rooms.RoomsHeartbeat, ("heartbeat_response",)),
        Kind("typing", rooms.RoomsSetTyping, ("done",)),
        Kind("kick", rooms.RoomsKick, ("done",)),
        Kind("set_permissions", rooms.RoomsSetPermissions, ("done",)),
    ),
    server=(
        Kind("handshake", rooms.RoomsHandshake),
        Kind("auth_success", rooms.RoomsAuthSuccess),
        Kind("refresh_success", rooms.RoomsRefreshSuccess),
        Kind("heartbeat_response", rooms.RoomsHeartbeatResponse),
        Kind("room_joined", rooms.RoomsRoomJoined),
        Kind("joined", rooms.RoomsJoined),
        Kind("room_left", rooms.RoomsRoomLeft),
        Kind("message", rooms.RoomsMessage),
        Kind("ack", rooms.RoomsAck),
        Kind("history", rooms.RoomsHistory),
        Kind("presence", rooms.RoomsPresence),
        Kind("user_joined", rooms.RoomsMoved, text="A user's first connection entered a room."),
        Kind("user_left", rooms.RoomsMoved, text="A user left a room, or was removed."),
        Kind(
            "user_disconnected", rooms.RoomsMoved, text="A user's last connection in a room closed."
        ),
        Kind("typing", rooms.RoomsTyping),
        Kind("token_expiring", rooms.RoomsTokenExpiring),
        Kind("shutdown", rooms.RoomsShutdown),
        Kind("closing", rooms.RoomsClosing),
        Kind("done", rooms.RoomsDone),
        Kind("error", rooms.RoomsError),
    ),
    errors=rooms.ERRORS,
    closes=RoomsProtocol.closes,
)

ALERTS: Final = Contract(
    name="alerts",
    path="/alerts",
    summary="Alerts about calls, for supervisors and dashboards.",
    client_form=Form.FLAT,
    server_form=Form.PAYLOAD,
    client=(
        Kind("subscribe", alerts.AlertsSubscribe, ("subscribed",)),
        Kind("unsubscribe", alerts.AlertsUnsubscribe, ("unsubscribed",)),
        Kind("getHistory", alerts.AlertsReadHistory, ("history",)),
        Kind("ping", alerts.AlertsPing, ("pong",)),
        Kind("refresh", alerts.AlertsRefresh, ("refreshed",)),
    ),
    server=(
        Kind("handshake", alerts.AlertsHandshake),
        Kind("subscribed", alerts.AlertsSubscribed),
        Kind("unsubscribed", alerts.AlertsUnsubscribed),
        Kind("alert", alerts.AlertsAlert),
        Kind("history", alerts.AlertsHistory),
        Kind("pong", alerts.AlertsPong),
        Kind("refreshed", alerts.AlertsRefreshed),
        Kind("expiring", alerts.AlertsExpiring),
        Kind("shutdown", alerts.AlertsShutdown),
        Kind("closing", alerts.AlertsClosing),
        Kind("error", alerts.AlertsError),
    ),
    errors=alerts.ERRORS,
    closes=AlertsProtocol.closes,
)

LIVE: Final = Contract(
    name="live",
    path="/live",
    summary="Topics for web pages whose users have logged in with a cookie.",
    client_form=Form.FLAT,
    server_form=Form.FLAT,
    client=(
        Kind("subscribe", live.LiveSubscribe, ("subscribed",)),
        Kind("unsubscribe", live.LiveUnsubscribe, ("unsubscribed",)),
        Kind("history", live.LiveReadHistory, ("history",)),
        Kind("ping", live.LivePing, ("pong",)),
    ),
    server=(
        Kind("subscribed", live.LiveSubscribed),
        Kind("unsubscribed", live.LiveUnsubscribed),
        Kind("data", live.LiveData),
        Kind("history", live.LiveHistory),
        Kind("pong", live.LivePong),
        Kind("shutdown", live.LiveShutdown),
        Kind("closing", live.LiveClosing),
        Kind("error", live.LiveError),
    ),
    errors=live.ERRORS,
    closes=LiveProtocol.closes,
    unlisted="A handler of the application may send any JSON value.",
)

RELAY: Final = Contract(
    name="relay",
    path="/realtime",
    summary="A conversation with an upstream realtime API.",
    client_form=Form.FLAT,
    server_form=Form.FLAT,
    client=(
        Kind("authenticate", relay.RelayAuthenticate, ("auth_success", "refresh_success")),
        Kind("refresh", relay.RelayRefresh, ("refresh_success",)),
        Kind("connect_realtime", relay.RelayConnect, ("realtime_connected",)),
        Kind("ping", relay.RelayPing, ("pong",)),
    ),
    server=(
        Kind("auth_success", relay.RelayAuthSuccess),
        Kind("realtime_connected", relay.RelayConnected),
        Kind("refresh_success", relay.RelayRefreshSuccess),
        Kind("pong", relay.RelayPong),
        Kind("token_expiring", relay.RelayTokenExpiring),
        Kind("shutdown", relay.RelayShutdown),
        Kind("closing", relay.RelayClosing),
        Kind("error", relay.RelayError),
    ),
    errors=relay.ERRORS,
    closes=RelayProtocol.closes,
    unlisted="After `realtime_connected`, events of the upstream pass both ways as they are.",
)

WORKSPACES: Final = Contract(
    name="workspaces",
    path="/socket.io/",
    summary="Dashboards, approvals and shared state, for clients of Socket.IO 3 and 4.",
    client_form=Form.EVENT,
    server_form=Form.EVENT,
    client=(
        Kind("join_room", workspaces.WorkspacesRoom, text="Join a room of a workspace."),
        Kind("leave_room", workspaces.WorkspacesRoom, text="Leave a room of a workspace."),
        Kind("dashboard_action", workspaces.WorkspacesAction),
        Kind("approval_response", workspaces.WorkspacesResponse),
        Kind("state_sync", workspaces.WorkspacesState),
        Kind("token_refresh", workspaces.WorkspacesToken),
    ),
    server=(
        Kind("dashboard_update", workspaces.WorkspacesUpdate),
        Kind("approval_requested", workspaces.WorkspacesRequested),
        Kind("approval_resolved", workspaces.WorkspacesResolved),
        Kind("state_changed", workspaces.WorkspacesChanged),
        Kind("token_expiring", workspaces.WorkspacesExpiring),
        Kind("room_left", workspaces.WorkspacesRemoved),
        Kind("error", workspaces.WorkspacesError),
        Kind("shutdown", workspaces.WorkspacesShutdown),
    ),
    errors=(*workspaces.FAULTS, *workspaces.ENDINGS),
    closes=WorkspacesProtocol.closes,
    acknowledgements={
        "join_room": (workspaces.WorkspacesJoined, workspaces.WorkspacesRefused),
        "leave_room": (workspaces.WorkspacesLeft, workspaces.WorkspacesRefused),
        "dashboard_action": (workspaces.WorkspacesActed, workspaces.WorkspacesRefused),
        "approval_response": (workspaces.WorkspacesDone, workspaces.WorkspacesRefused),
        "state_sync": (
            workspaces.WorkspacesShared,
            workspaces.WorkspacesConflict,
            workspaces.WorkspacesRefused,
        ),
        "token_refresh": (workspaces.WorkspacesRefreshed, workspaces.WorkspacesRefused),
    },
    unlisted="The backend publishes events under names of its own, and an application adds more.",
)

CONTRACTS: Final = (ROOMS, ALERTS, LIVE, RELAY, WORKSPACES)


def schemas(contracts: tuple[Contract, ...], template: str) -> dict[str, Schema]:
    """The JSON schema of every struct by its name, with those inside it."""
    types = {each for contract in contracts for each in contract.types()}
    ordered = sorted(types, key=lambda each: each.__name__)
    _, found = msgspec.json.schema_components(ordered, ref_template=template)
    for schema in found.values():
        schema["description"] = cleandoc(schema.get("description", ""))
        schema.pop("title", None)
    return dict(sorted(found.items()))


def message_schema(form: Form, kind: Kind, template: str, *, client: bool) -> Schema:
    """The JSON schema of a whole message, with its envelope."""
    body = {"$ref": template.format(name=kind.body.__name__)}
    if form in {Form.FLAT, Form.EVENT}:
        return body
    identifier: Schema = {"anyOf": [{"type": "string", "maxLength": 64}, {"type": "integer"}]}
    if form is Form.DATA:
        identifier = {"type": "string", "maxLength": 64}
    keys: Schema = {"type": {"const": kind.word}, form.value: body}
    required = ["type", form.value]
    if form is Form.DATA:
        keys["timestamp"] = {"type": "number", "description": "Unix time in milliseconds."}
        required.append("timestamp")
    schema = {"type": "object", "properties": {**keys, "id": identifier}, "required": required}
    return {**schema, "additionalProperties": False} if client else schema
