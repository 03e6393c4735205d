"""Publishing and reading: one implementation for granted commands of clients and for the backend."""

import secrets
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from portward.engines.port import PublishResult, RoomEnded
from portward.model.channel import COMBINED, Channel
from portward.model.commands import Publish, ReadHistory, Signal
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import UserSignalled
from portward.model.grants import Grant
from portward.model.identity import Identity
from portward.model.limits import DATA, HISTORY_LIMIT
from portward.model.namespace import AccessRule, Namespace
from portward.model.position import Position
from portward.model.publication import Draft, HistoryPage, HistoryQuery
from portward.model.room import ENDS_UNUSED, STRIPS, Room, RoomRecord
from portward.node.rights import Authorizer
from portward.node.sessions import NodeContext
from portward.security.content import strip_markup
from portward.security.signing import sign_message

DEFAULT_HISTORY: Final = 50
_SHORT: Final = DATA // 6 - 2
"""Characters of ASCII text that fit in any case: in JSON each takes at most 6 bytes."""
USES: Final = 100
"""How often the idle time of a record is restarted at most, while it passes."""
USED: Final = 10_000
"""Rooms whose last restart is remembered."""


class Publishing:
    """Writes publications to the engine, and reads them."""

    def __init__(self, context: NodeContext, authorizer: Authorizer) -> None:
        self._engine = context.engine
        self._clock = context.clock
        self._settings = context.settings
        self._used: dict[Channel, tuple[str, float]] = {}
        self._background = context.background
        self._metrics = context.telemetry.metrics
        self._authorizer = authorizer

    async def publish(
        self,
        grant: Grant[Publish],
        identity: Identity | None = None,
        record: RoomRecord | None = None,
    ) -> PublishResult:
        """Store and announce a publication; `identity` is None for publications of the backend.

        `record` is the room record at the time of the grant; where one is needed and none is given, it is
        looked up.

        Raises:
            CommandError: the data is not JSON or too large, or the namespace or the room is unknown.
            EngineUnavailable: the store did not answer; with Redis it may have stored the message.
        """
        command = grant.command
        namespace = self._authorizer.namespace(command.channel)
        if command.channel.endswith(COMBINED) and command.channel.is_combined:
            raise CommandError(
                ErrorKind.INVALID_CHANNEL, detail="a combined channel is filled by the others"
            )
        guarded = namespace.authorize is AccessRule.ROLES
        if guarded and record is None:
            record = await self._authorizer.record_to_publish(command.channel)
        draft = self._draft(command, identity, record.room if record is not None else None)
        secret = self._settings.now.signing.get(namespace.name)
        if secret:
            draft = sign_message(draft, command.channel, secret.encode())
        if record is not None and record.origin in ENDS_UNUSED:
            self._use_record(command.channel, record, namespace.idle_ttl)
        key = command.idempotency_key
        life = record.life if guarded and record is not None else None
        stored = await self._store(command.channel, draft, namespace, key, life)
        if namespace.combined:
            # With a key, a retry after a failure between the two writes completes the second one.
            copy = replace(draft, id=stored.id, origin=command.channel)
            combined = Channel.combined(namespace.name)
            once = f"{command.channel} {key}" if key is not None else None
            await self._store(combined, copy, namespace, once)
        return stored

    def _use_record(self, channel: Channel, record: RoomRecord, idle: float) -> None:
        """Restart the idle time of a record, at most `USES` times in that time.

        In parallel to the publication, so that the round trip to a remote store is paid once.
        """
        now = self._clock.monotonic()
        life, until = self._used.get(channel, ("", now))
        if life == record.life and now < until:
            return
        if len(self._used) >= USED:
            self._used.clear()
        self._used[channel] = record.life, now + idle / USES
        self._background.run(self._engine.rooms.use(channel, idle))

    async def _store(
        self,
        channel: Channel,
        draft: Draft,
        namespace: Namespace,
        key: str | None,
        life: str | None = None,
    ) -> PublishResult:
        began = self._clock.monotonic()
        try:
            stored = await self._engine.streams.publish(channel, draft, namespace, key, life)
        except RoomEnded:
            raise CommandError(ErrorKind.UNKNOWN_ROOM, detail="the room has been removed") from None
        self._metrics.engine_seconds.observe(self._clock.monotonic() - began, ("publish",))
        return stored

    def _draft(self, command: Publish, identity: Identity | None, room: Room | None) -> Draft:
        data = command.data
        if room is not None and isinstance(data, str) and STRIPS[room.type, room.sanitize]:
            data = strip_markup(data)
            if not data.strip():
                raise CommandError(ErrorKind.INVALID_STRUCTURE)
        short = isinstance(data, str) and len(data) <= _SHORT and data.isascii()
        if not (short or _fits(data)) or sum(map(len, command.attachments)) > DATA:
            raise CommandError(ErrorKind.TOO_LONG)
        return Draft(
            id=secrets.token_hex(16),
            time=int(self._clock.time() * 1000),
            data=data,
            key=command.key,
            type=command.type,
            user=identity.subject if identity is not None else None,
            email=identity.email if identity is not None else None,
            attachments=command.attachments,
            exclude=command.exclude,
        )

    async def history(self, grant: Grant[ReadHistory]) -> HistoryPage:
        """Read the history of a channel, at most `HISTORY_LIMIT` publications.

        Raises:
            CommandError: `UNRECOVERABLE`, the requested epoch is not that of the stream.
        """
        command = grant.command
        namespace = self._authorizer.namespace(command.channel)
        wanted = DEFAULT_HISTORY if command.limit is None else command.limit
        limit = max(0, min(wanted, HISTORY_LIMIT))
        since = await self._since(command)
        query = HistoryQuery(
            limit=limit, since=since, before=command.before, reverse=command.reverse
        )
        began = self._clock.monotonic()
        page = await self._engine.streams.history(command.channel, query, namespace)
        self._metrics.engine_seconds.observe(self._clock.monotonic() - began, ("history",))
        if since is not None and since.epoch != page.position.epoch:
            raise CommandError(ErrorKind.UNRECOVERABLE)
        return page

    async def _since(self, command: ReadHistory) -> Position | None:
        if command.since is None:
            return None
        if command.epoch is not None:
            return Position(command.since, command.epoch)
        position = await self.position(command.channel)
        return Position(command.since, position.epoch)

    async def position(self, channel: Channel) -> Position:
        """Return the position of the stream."""
        namespace = self._authorizer.namespace(channel)
        page = await self._engine.streams.history(channel, HistoryQuery(limit=0), namespace)
        return page.position

    async def signal(self, grant: Grant[Signal], user: str, client: str) -> None:
        """Send a signal to the other subscribers of the channel."""
        command = grant.command
        await self._engine.streams.publish_control(
            UserSignalled(
                channel=command.channel,
                user=user,
                client=client,
                name=command.name,
                active=command.active,
            )
        )


def _fits(data: Any) -> bool:
    """Return whether the JSON of `data` is within the limit.

    Raises:
        CommandError: `data` has no JSON: it is no JSON value, or has text that UTF-8 cannot encode.
    """
    try:
        return len(msgspec.json.encode(data)) <= DATA
    except (TypeError, ValueError, RecursionError):
        raise CommandError(ErrorKind.INVALID_STRUCTURE, detail="data is no JSON value") from None
