"""Room records: lookup for sessions and the backend, and creation by join or publish."""

from typing import Final, NamedTuple

from portward.engines.port import RoomMade
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.identity import Identity
from portward.model.namespace import Namespace
from portward.model.rights import Right
from portward.model.room import Room, RoomOrigin, RoomRecord
from portward.node.sessions import NodeContext, Session, auto_created
from portward.security import policy
from portward.security.policy import ChannelFacts
from portward.telemetry.events import Event

NO_ROOM: Final = "no such room"
NOT_CREATED: Final = "no such room; auto_create is off"


class FoundRecord(NamedTuple):
    """A record, or the reason why there is none."""

    record: RoomRecord | None
    reason: str = ""


class RoomRecords:
    """Finds records, and creates them for undeclared rooms where that is allowed."""

    def __init__(self, context: NodeContext) -> None:
        self._rooms = context.engine.rooms
        self._telemetry = context.telemetry
        self._endpoints = context.endpoints

    async def find(self, channel: Channel) -> FoundRecord:
        """Return the record of a room."""
        return FoundRecord(await self._rooms.get(channel), NO_ROOM)

    async def create(
        self, session: Session, identity: Identity, channel: Channel, namespace: Namespace
    ) -> FoundRecord:
        """Create the room that a session joins, if it may create rooms and would have access to this one."""
        if not policy.may_create(identity, auto_create=session.endpoint.rules.auto_create):
            return FoundRecord(None, NOT_CREATED)
        facts = ChannelFacts(room=default_room(channel, namespace))
        if not policy.rights(identity, channel, namespace, facts) & Right.SUBSCRIBE:
            return FoundRecord(None, NO_ROOM)
        return await self._make(channel, namespace, identity.subject, session.id)

    async def to_publish(self, channel: Channel, namespace: Namespace) -> RoomRecord:
        """Return the record for a publication of the backend; it is created where a join would create it.

        Raises:
            CommandError: `UNKNOWN_ROOM`, there is no record, and none is created.
        """
        record, reason = await self._rooms.get(channel), NOT_CREATED
        if record is None and namespace.name in auto_created(self._endpoints):
            record, reason = await self._make(channel, namespace)
        if record is None:
            raise CommandError(ErrorKind.UNKNOWN_ROOM, detail=reason)
        return record

    async def _make(
        self, channel: Channel, namespace: Namespace, maker: str = "", client: str | None = None
    ) -> FoundRecord:
        origin = RoomOrigin.JOINER if maker else RoomOrigin.PUBLISHER
        room = default_room(channel, namespace)
        made = await self._rooms.make(channel, room, origin, maker, namespace.idle_ttl)
        if made is RoomMade.MADE:
            self._telemetry.record(
                Event.ROOM_CREATE, client=client, user=maker or None, channel=channel
            )
        elif made is not RoomMade.EXISTS:
            return FoundRecord(None, made.value)
        return await self.find(channel)


def default_room(channel: Channel, namespace: Namespace) -> Room:
    """Return the room that a join of this channel creates."""
    return Room(id=channel.name, name=channel.name, max_participants=namespace.max_subscribers)


def same_life(before: RoomRecord | None, after: RoomRecord | None) -> bool:
    """Return whether two lookups found the same room, not one removed and created again in between."""
    return before is not None and after is not None and before.life == after.life
