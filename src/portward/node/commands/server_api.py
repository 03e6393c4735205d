"""The server API: operations of the backend, from the library or the admin API. All act on the cluster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from portward.engines.port import Member, PublishResult
from portward.model.channel import Channel
from portward.model.commands import Publish, ReadHistory
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import Disconnected, Expelled, Revoked, RightsChanged
from portward.model.identity import Identity
from portward.model.limits import TICKET_TIME
from portward.model.node import NodeInfo
from portward.model.position import Position
from portward.model.publication import HistoryPage
from portward.model.replies import Participant
from portward.model.revocation import Revocation, RevocationKind
from portward.model.room import Room, RoomOrigin, RoomRecord
from portward.node.channels import Publishing, SubscribeCost, kept_until, participants, stated_end
from portward.node.cluster import RightsEventHandler
from portward.node.rights import Authorizer, CredentialVerifier
from portward.node.sessions import ConnectionInfo, HookRunner, NodeContext, Session, describe
from portward.node.stores import RevocationsFull, UserRights
from portward.security import policy
from portward.security.redaction import fingerprint
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.version import __version__


class RevocationOutcome(NamedTuple):
    """A revocation that was made, and how many connections of this node it closed."""

    revocation: Revocation
    ended: int


@dataclass(frozen=True, slots=True)
class SurveyedNode:
    """What the questions of other nodes are answered from."""

    operations: "ServerApi"
    rights_events: RightsEventHandler
    telemetry: Telemetry


class ServerApi:
    """Publishes, reads, changes and closes on behalf of the application."""

    def __init__(
        self,
        context: NodeContext,
        credentials: CredentialVerifier,
        authorizer: Authorizer,
        subscribe_cost: SubscribeCost,
        publishing: Publishing,
        hooks: HookRunner,
    ) -> None:
        self.uid = context.uid
        self._machine = context.machine
        self._engine, self._stores = context.engine, context.stores
        self._hub = context.hub
        self._registry = context.registry
        self._telemetry = context.telemetry
        self._clock = context.clock
        self._credentials = credentials
        self._authorizer = authorizer
        self._subscribe_cost = subscribe_cost
        self._publishing = publishing
        self._hooks = hooks
        self._began = context.clock.monotonic()

    # -- streams

    async def publish(self, command: Publish) -> PublishResult:
        """Publish as the backend. `exclude` is the id of the one connection that does not get it.

        Raises:
            CommandError: the namespace or the room of the channel is unknown, or the data is over 64 KiB.
            EngineUnavailable: the store did not answer; with Redis it may have stored the message.
        """
        record = await self._authorizer.record_to_publish(command.channel)
        stored = await self._publishing.publish(policy.trusted(command), record=record)
        self._hooks.published(command, stored)
        return stored

    async def history(self, command: ReadHistory) -> HistoryPage:
        """Read the history of a channel.

        Raises:
            CommandError: the namespace of the channel is unknown, or the requested epoch is not current.
        """
        return await self._publishing.history(policy.trusted(command))

    async def position(self, channel: Channel) -> Position:
        """Return the position of the stream of a channel.

        Raises:
            CommandError: the namespace of the channel is unknown.
        """
        return await self._publishing.position(channel)

    async def presence(self, channel: Channel) -> tuple[Member, ...]:
        """Return every connection in a channel.

        Raises:
            CommandError: the namespace of the channel is unknown, or keeps no presence.
        """
        if not self._authorizer.namespace(channel).presence:
            raise CommandError(ErrorKind.UNAVAILABLE, detail="presence is off for this namespace")
        return await self._engine.presence.members(channel)

    async def participants(self, channel: Channel) -> tuple[Participant, ...]:
        """Return the users in a channel with their numbers of connections."""
        return await participants(self._engine, channel)

    def channels(self) -> dict[Channel, int]:
        """Return the channels with subscribers on this node, with their numbers of connections."""
        return {name: self._hub.size(name) for name in self._hub.names()}

    def channel_names(self) -> Iterable[Channel]:
        """Return the names of :meth:`channels`, as they are now."""
        return self._hub.names()

    def channel_size(self, channel: Channel) -> int:
        """Return how many connections of this node subscribe to a channel."""
        return self._hub.size(channel)

    # -- connections

    def info(self) -> NodeInfo:
        """Return the figures of this node."""
        return NodeInfo(
            uid=self.uid,
            clients=len(self._registry),
            users=self._registry.users(),
            subscriptions=sum(len(session.subscriptions) for session in self._registry),
            channels=len(self._hub),
            uptime=self._clock.monotonic() - self._began,
            name=self._machine,
            version=__version__,
        )

    def connections(
        self,
        user: str | None = None,
        endpoint: str | None = None,
        *,
        offset: int = 0,
        limit: int | None = None,
    ) -> Iterable[ConnectionInfo]:
        """Return open connections, of a user or an endpoint; at most `limit` after the first `offset`."""
        chosen = self._chosen(user, endpoint)
        for session in islice(chosen, offset, None if limit is None else offset + limit):
            yield describe(session)

    def count_connections(self, user: str | None = None, endpoint: str | None = None) -> int:
        """Return how many connections are open, all or of a user or an endpoint."""
        return sum(1 for _ in self._chosen(user, endpoint))

    def _chosen(self, user: str | None, endpoint: str | None) -> Iterable[Session]:
        sessions = self._registry.of_user(user) if user is not None else self._registry
        return (s for s in sessions if endpoint is None or s.endpoint.name == endpoint)

    async def disconnect(self, user: str, client: str | None = None) -> None:
        """Close the connections of a user, or the one with the id `client`."""
        await self._engine.streams.publish_control(Disconnected(user=user, client=client))

    async def unsubscribe(self, user: str, channel: Channel, client: str | None = None) -> None:
        """Remove a user from a channel, on all connections or on one."""
        self._subscribe_cost.forget_returns(user, channel)
        await self._engine.streams.publish_control(
            Expelled(user=user, channel=channel, client=client, reason="unsubscribed")
        )

    # -- credentials

    async def ticket(self, token: str, ttl: float = TICKET_TIME) -> str:
        """Exchange a token for a single-use ticket, valid for `ttl` seconds (at most 60).

        Raises:
            CommandError: the token is not valid.
        """
        return await self._credentials.issue_ticket(token, min(ttl, TICKET_TIME))

    async def revoke(self, kind: RevocationKind, value: str) -> RevocationOutcome:
        """Revoke a token id, a session, all credentials of a user, or one whole token.

        Raises:
            CommandError: the engine cannot keep more revocations. Open connections are closed anyway, but
                their credentials can be used again.
        """
        now, whole = self._clock.time(), kind is RevocationKind.TOKEN
        ends = [stated_end(value)] if whole else []
        revocation = Revocation(kind, fingerprint(value) if whole else value, now, now)
        ends += [identity.expires_at for identity in self._named(revocation)]
        until = kept_until(now, [end for end in ends if end is not None], whole=whole)
        revocation = replace(revocation, until=until)
        try:
            await self._stores.revocations.add(revocation)
        except RevocationsFull:
            self._telemetry.record(Event.AUTH_REVOKE_FULL, kind=kind.value)
            await self._engine.streams.publish_control(Revoked(revocation=revocation))
            detail = "the engine keeps as many revocations as it can; this one is not kept"
            raise CommandError(ErrorKind.LIMIT_EXCEEDED, detail=detail) from None
        if kind is RevocationKind.SESSION:
            await self._stores.sessions.drop(value)
        ended = len(self._named(revocation))
        self._telemetry.record(Event.AUTH_REVOKE, kind=kind.value, count=ended)
        await self._engine.streams.publish_control(Revoked(revocation=revocation))
        return RevocationOutcome(revocation, ended)

    def _named(self, revocation: Revocation) -> list[Identity]:
        """Return the identities of the sessions on this node that a revocation covers."""
        return [
            session.claims
            for session in self._registry
            if session.claims is not None and revocation.names(session.claims, session.resume_id)
        ]

    # -- the directory

    async def facts(self, user: str) -> UserRights:
        """Return the roles, permissions and workspaces of a user in the directory."""
        return await self._stores.directory.rights(user)

    async def set_roles(self, user: str, roles: Iterable[str]) -> None:
        """Replace the roles of a user; the rights of open connections are checked again at once."""
        await self._stores.directory.set_roles(user, frozenset(roles))
        await self._changed(user, "roles")

    async def set_permissions(self, user: str, permissions: Iterable[str]) -> None:
        """Replace the permissions of a user; the rights of open connections are checked again at once."""
        await self._stores.directory.set_permissions(user, frozenset(permissions))
        await self._changed(user, "permissions")

    async def set_workspaces(self, user: str, workspaces: Iterable[str] | None) -> None:
        """Replace the memberships of a user; the rights of open connections are checked again at once.

        From then on they apply instead of the token of the user; with None the token applies again.
        """
        given = frozenset(workspaces) if workspaces is not None else None
        await self._stores.directory.set_workspaces(user, given)
        await self._changed(user, "workspaces")

    async def _changed(self, user: str, what: str) -> None:
        self._telemetry.record(Event.RIGHTS_CHANGE, user=user, kind=what)
        await self._engine.streams.publish_control(RightsChanged(user=user))

    # -- rooms

    async def room(self, channel: Channel) -> RoomRecord | None:
        """Return the record of a room."""
        self._authorizer.namespace(channel)
        return await self._engine.rooms.get(channel)

    async def rooms(self) -> Mapping[Channel, RoomRecord]:
        """Return all room records."""
        return await self._engine.rooms.all()

    async def orphans(self) -> tuple[Channel, ...]:
        """Return channels that have stored data and need a record but have none: nobody can join them."""
        rooms, streams = self._engine.rooms, self._engine.streams
        return tuple(
            [
                channel
                for channel in await streams.channels()
                if self._authorizer.needs_record(channel)
                and await rooms.get(channel) is None
                and await streams.is_readable(channel)
            ]
        )

    async def set_room(
        self,
        channel: Channel,
        room: Room,
        *,
        ttl: float | None = None,
        origin: RoomOrigin = RoomOrigin.BACKEND,
    ) -> Room:
        """Create or replace the record of a room; the rights of its members are checked again at once.

        It stays until it is removed, or for `ttl` seconds.

        Raises:
            CommandError: the namespace of the channel is unknown.
        """
        self._authorizer.namespace(channel)
        room = replace(room, id=channel.name, name=room.name or channel.name)
        rooms = self._engine.rooms
        new = await rooms.get(channel) is None
        expires = None if ttl is None else self._clock.time() + ttl
        await rooms.save(channel, room, origin, expires=expires)
        self._telemetry.record(
            Event.ROOM_CREATE if new else Event.ROOM_PERMISSIONS, channel=channel, kind=origin.value
        )
        await self._engine.streams.publish_control(RightsChanged(channel=channel))
        return room

    async def remove_room(self, channel: Channel) -> bool:
        """Delete the publications of a room, then its record; its members are removed.

        Returns False when there was neither.
        """
        self._authorizer.namespace(channel)
        removed = await self._engine.rooms.remove(channel)
        if removed:
            self._telemetry.record(Event.ROOM_REMOVE, channel=channel)
        await self._engine.streams.publish_control(RightsChanged(channel=channel))
        return removed
