"""What clients of a workspace emit in the root namespace, and the commands behind it."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from portward.dialects.socketio.attachments import has_bytes
from portward.dialects.socketio.packets import ROOT, Packet
from portward.dialects.socketio.words import channel
from portward.model import commands as ask
from portward.model.approval import Decision
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.faults import Fault, FaultKind

MAX_JSON: Final = 10_000
"""Characters of JSON in an action's payload, and in a shared value."""
MAX_HINT: Final = 200

_ROOM: Final = re.compile(r"workspace:([^:]*):([^:]*)\Z")

Name = Annotated[str, Meta(min_length=1, max_length=100)]


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one argument of an event: unknown fields are refused."""


class _Room(_Event, frozen=True):
    room: Annotated[str, Meta(max_length=160)]


class _Action(_Event, frozen=True):
    action: Name
    payload: Any = None


class _Response(_Event, frozen=True, rename="camel"):
    request_id: Annotated[str, Meta(min_length=1, max_length=64)]
    decision: Decision
    comment: Annotated[str, Meta(max_length=2000)] | None = None


class _State(_Event, frozen=True):
    key: Name
    value: Any
    version: Annotated[int, Meta(ge=0)] | None = None


class _Token(_Event, frozen=True):
    token: str


def invalid(hint: str) -> Fault:
    """The fault of an event that is not as it should be; `hint` says how."""
    return Fault(FaultKind.INVALID_STRUCTURE, hint=hint[:MAX_HINT])


class Events:
    """Reads events. Rooms are `workspace:{id}:{kind}`, the channels `<namespace>:{id}:{kind}`."""

    def __init__(self, namespace: str, kinds: tuple[str, ...]) -> None:
        """`kinds` are the kinds of rooms there are."""
        self._namespace = namespace
        self._kinds = frozenset(kinds)
        self._readers: dict[str, tuple[type[_Event], Callable[[str, Any], Command]]] = {
            "join_room": (_Room, self._join),
            "leave_room": (_Room, self._leave),
            "dashboard_action": (_Action, _act),
            "approval_response": (_Response, _decide),
            "state_sync": (_State, _share),
            "token_refresh": (_Token, _refresh),
        }

    @property
    def names(self) -> frozenset[str]:
        """The events that are read here."""
        return frozenset(self._readers)

    def read(self, packet: Packet) -> Command:
        """The command behind an event; what is not known here is for the application.

        Raises:
            Fault: `INVALID_STRUCTURE`, it is not as it should be.
        """
        known = self._readers.get(packet.name) if packet.nsp == ROOT else None
        if known is None:
            return ask.Call(
                id=packet.address,
                nsp=packet.nsp,
                event=packet.name,
                arguments=tuple(packet.data),
            )
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

    def _join(self, address: str, event: _Room) -> Command:
        return ask.Subscribe(id=address, channel=self._channel(event.room))

    def _leave(self, address: str, event: _Room) -> Command:
        return ask.Unsubscribe(id=address, channel=self._channel(event.room))


def _act(address: str, event: _Action) -> Command:
    _bounded(event.payload, "$.payload")
    return ask.Act(id=address, action=event.action, payload=event.payload)


def _decide(address: str, event: _Response) -> Command:
    return ask.Decide(
        id=address, request=event.request_id, decision=event.decision, comment=event.comment
    )


def _share(address: str, event: _State) -> Command:
    _bounded(event.value, "$.value")
    return ask.Share(id=address, key=event.key, value=event.value, version=event.version)


def _refresh(address: str, event: _Token) -> Command:
    return ask.Refresh(id=address, token=event.token)


def _bounded(value: Any, where: str) -> None:
    """Refuse what is longer in JSON than may be stored, and bytes, which JSON does not know."""
    if has_bytes(value):
        raise invalid(f"no JSON value - at `{where}`")
    if len(msgspec.json.encode(value).decode()) > MAX_JSON:
        raise invalid(f"longer than {MAX_JSON} characters of JSON - at `{where}`")
