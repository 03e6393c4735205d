"""Decodes the events that clients of a workspace emit in the root Socket.IO namespace."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

import portward.protocols.workspaces.messages as wire
from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.protocols.message import Received
from portward.protocols.socketio.attachments import has_bytes
from portward.protocols.socketio.namespaces import invalid
from portward.protocols.socketio.packets import SocketIoPacket
from portward.protocols.workspaces.commands import Act, Decide, Share
from portward.protocols.workspaces.payloads import channel

MAX_JSON: Final = 10_000
"""Most characters of JSON in an action's payload, and in a shared value."""

_ROOM: Final = re.compile(r"workspace:([^:]*):([^:]*)\Z")


class WorkspaceEvents:
    """Reads events. Rooms are `workspace:{id}:{kind}`, the channels `<namespace>:{id}:{kind}`."""

    def __init__(self, namespace: str, kinds: tuple[str, ...]) -> None:
        """`kinds` are the valid kinds of rooms."""
        self._namespace = namespace
        self._kinds = frozenset(kinds)
        self._readers: dict[str, tuple[type[Received], Callable[[str, Any], Command]]] = {
            "join_room": (wire.WorkspacesRoom, self._join),
            "leave_room": (wire.WorkspacesRoom, self._leave),
            "dashboard_action": (wire.WorkspacesAction, _act),
            "approval_response": (wire.WorkspacesResponse, _decide),
            "state_sync": (wire.WorkspacesState, _share),
            "token_refresh": (wire.WorkspacesToken, _refresh),
        }

    @property
    def names(self) -> frozenset[str]:
        """The events that are read here."""
        return frozenset(self._readers)

    def read(self, packet: SocketIoPacket) -> Command | None:
        """The command of an event; None for an event of the application.

        Raises:
            CommandError: `INVALID_STRUCTURE`, the event is invalid.
        """
        known = self._readers.get(packet.name)
        if known is None:
            return None
        kind, make = known
        if len(packet.data) != 1:
            raise invalid("one argument is expected")
        try:
            return make(packet.address, msgspec.convert(packet.data[0], kind))
        except msgspec.ValidationError as error:
            raise invalid(str(error)) from None

    def _channel(self, room: str) -> Channel:
        found = _ROOM.match(room)
        if found is None:
            raise invalid("not `workspace:{id}:{kind}` - at `$.room`")
        if found[2] not in self._kinds:
            raise invalid("no such kind of room - at `$.room`")
        try:
            return channel(self._namespace, found[1], found[2])
        except ValueError:
            raise invalid("no name of a workspace - at `$.room`") from None

    def _join(self, address: str, event: wire.WorkspacesRoom) -> Command:
        return ask.Subscribe(id=address, channel=self._channel(event.room))

    def _leave(self, address: str, event: wire.WorkspacesRoom) -> Command:
        return ask.Unsubscribe(id=address, channel=self._channel(event.room))


def _act(address: str, event: wire.WorkspacesAction) -> Command:
    _bounded(event.payload, "$.payload")
    return Act(id=address, action=event.action, payload=event.payload)


def _decide(address: str, event: wire.WorkspacesResponse) -> Command:
    return Decide(
        id=address, request=event.request_id, decision=event.decision, comment=event.comment
    )


def _share(address: str, event: wire.WorkspacesState) -> Command:
    _bounded(event.value, "$.value")
    return Share(id=address, key=event.key, value=event.value, version=event.version)


def _refresh(address: str, event: wire.WorkspacesToken) -> Command:
    return ask.Refresh(id=address, token=event.token)


def _bounded(value: Any, where: str) -> None:
    """Refuse values longer in JSON than may be stored, and binary values, which JSON does not have."""
    if has_bytes(value):
        raise invalid(f"no JSON value - at `{where}`")
    if len(msgspec.json.encode(value).decode()) > MAX_JSON:
        raise invalid(f"longer than {MAX_JSON} characters of JSON - at `{where}`")
