"""The gateway as a library object: create it, enter its context, publish, mount it.

async with Gateway(settings) as gateway:
    await gateway.publish("rooms:general", "hello")
"""

import secrets as random
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

from portward.app.runtime import Running, Runtime
from portward.engines.port import Engine, Member
from portward.model.channel import Channel
from portward.model.claim_path import ClaimPath
from portward.model.clock import Clock
from portward.model.commands import Publish, ReadHistory
from portward.model.position import Position
from portward.model.publication import HistoryPage
from portward.model.revocation import RevocationKind
from portward.node.commands import ServerApi
from portward.node.node import Node
from portward.node.sessions import ConnectionInfo, Hooks, MessageInfo
from portward.protocols.alerts.api import Alerts
from portward.protocols.live.api import Live
from portward.protocols.rooms.api import Rooms
from portward.protocols.workspaces.api import Workspaces
from portward.security.tokens import sign
from portward.settings import Settings
from portward.telemetry import Telemetry
from portward.transports.asgi import AsgiApp
from portward.transports.engineio import EngineServer
from portward.transports.request_router import RequestRouter

ConnectHook = Callable[[ConnectionInfo], Awaitable[bool | None]]
DisconnectHook = Callable[[ConnectionInfo, str], Awaitable[None]]
MessageHook = Callable[[MessageInfo], Awaitable[bool | None]]

HOUR: Final = 3600.0
DEFAULT_ROLE: Final = "user"
"""The role of a user whose token names no role."""


class Gateway:
    """One gateway of this process. Use it as an asynchronous context manager, once.

    `settings` default to development. `clock` and `engine` are for tests; `telemetry` replaces the default
    one. No address is bound and no task runs before `async with` (or `start`).

    Raises (on entering):
        SettingsError: the settings cannot be served; the message names the rule.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        engine: Engine | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._hooks = hooks = Hooks()
        self._running = running = Running()
        self._runtime = Runtime(settings or Settings(), running, hooks, clock, engine, telemetry)
        self.rooms = Rooms(running.node)
        self.alerts = Alerts(running.node, hooks)
        self.live = Live(running.node, hooks)
        self.workspaces = Workspaces(running.node, hooks)
        self.asgi: AsgiApp = AsgiApp(running.router, running.clock, lifespan=self._runtime)
        """An ASGI application: mount it in Starlette, FastAPI or Django, or serve it alone.

        When mounted, the application around it must enter the gateway; when served alone, it enters the
        gateway at start-up and leaves it at shutdown.
        """

    # -- lifecycle

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._runtime.settings

    @property
    def node(self) -> Node:
        """The running node.

        Raises:
            RuntimeError: the gateway is not entered, or has been left.
        """
        return self._running.node()

    @property
    def front(self) -> RequestRouter:
        """The router that transports ask for the handler of a path.

        Raises:
            RuntimeError: the gateway is not entered, or has been left.
        """
        return self._running.router()

    @property
    def engine_io(self) -> EngineServer:
        """The sessions of Engine.IO that poll.

        Raises:
            RuntimeError: the gateway is not entered, or has been left.
        """
        return self._running.parts().engine_io

    @property
    def operations(self) -> ServerApi:
        """The operations that the running node offers to the backend."""
        return self.node.operations

    @property
    def telemetry(self) -> Telemetry:
        """Metrics, log and audit of the running gateway."""
        return self.node.telemetry

    async def start(self) -> None:
        """Build all parts and start; `async with` calls it."""
        await self._runtime.start()

    async def stop(self) -> None:
        """Close every connection at once and release all resources; leaving the context calls it."""
        await self._runtime.stop()

    async def drain(self, seconds: float | None = None) -> None:
        """Reject new handshakes, send clients elsewhere, and wait until all connections are closed.

        Takes at most `seconds`, by default `server.drain_timeout`.
        """
        timeout = self.node.settings.server.drain_timeout if seconds is None else seconds
        await self.node.drain(timeout)

    def reload(self, settings: Settings) -> None:
        """Apply the settings that can change while running: secrets, keys, origins, limits and rights.

        All other settings stay as they were until a restart.

        Raises:
            SettingsError: the new settings cannot be served; the old ones stay in use.
            ValueError: a key or an origin among them is unusable; the old ones stay in use.
        """
        self._runtime.reload(settings)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # -- hooks

    def on_connect(self, hook: ConnectHook) -> ConnectHook:
        """Call `hook(connection)` when a connection is authenticated; a return value of False closes it."""
        self._hooks.connect.append(hook)
        return hook

    def on_disconnect(self, hook: DisconnectHook) -> DisconnectHook:
        """Call `hook(connection, disconnect)` when a connection has closed."""
        self._hooks.disconnect.append(hook)
        return hook

    def on_message(self, hook: MessageHook) -> MessageHook:
        """Call `hook(message)` before a client's message is stored; a return value of False refuses it."""
        self._hooks.message.append(hook)
        return hook

    # -- operations of a backend

    async def publish(
        self,
        channel: str,
        data: Any,
        *,
        key: str | None = None,
        type: str | None = None,  # noqa: A002 - the name in the protocol
        idempotency_key: str | None = None,
        exclude: str | None = None,
    ) -> Position:
        """Publish any JSON value of at most 64 KiB.

        A repeated `idempotency_key` within five minutes publishes nothing and returns the first position.
        `exclude` is the id of one connection that does not get it.

        Raises:
            ValueError: `channel` is no channel name.
            CommandError: its namespace is unknown, or the data is too large.
            EngineUnavailable: the store did not answer; with Redis it may have stored the message.
        """
        command = Publish(
            channel=Channel.parse(channel),
            data=data,
            key=key,
            type=type,
            idempotency_key=idempotency_key,
            exclude=exclude,
        )
        return (await self.operations.publish(command)).position

    async def history(
        self,
        channel: str,
        limit: int = 50,
        since: Position | None = None,
        *,
        reverse: bool = False,
    ) -> HistoryPage:
        """Read the history of a channel, oldest first, at most 100; with `reverse` the newest first.

        Raises:
            ValueError: `channel` is no channel name.
            CommandError: its namespace is unknown, or `since` is of another epoch.
        """
        command = ReadHistory(
            channel=Channel.parse(channel),
            limit=limit,
            since=since.offset if since is not None else None,
            epoch=since.epoch if since is not None else None,
            reverse=reverse,
        )
        return await self.operations.history(command)

    async def presence(self, channel: str) -> tuple[Member, ...]:
        """Return every connection in a channel.

        Raises:
            ValueError: `channel` is no channel name.
            CommandError: its namespace is unknown, or has no presence.
        """
        return await self.operations.presence(Channel.parse(channel))

    def channels(self) -> dict[Channel, int]:
        """Return the channels with subscribers on this node, with the number of their connections."""
        return self.operations.channels()

    def connections(self, user: str | None = None) -> list[ConnectionInfo]:
        """Return the open connections, all or those of one user."""
        return list(self.operations.connections(user))

    async def disconnect(self, user: str, client: str | None = None) -> None:
        """Close a user's connections, or the one with the id `client`."""
        await self.operations.disconnect(user, client)

    async def unsubscribe(self, user: str, channel: str) -> None:
        """Remove a user from a channel."""
        await self.operations.unsubscribe(user, Channel.parse(channel))

    async def revoke(
        self,
        *,
        user: str | None = None,
        jti: str | None = None,
        session: str | None = None,
        token: str | None = None,
    ) -> int:
        """Revoke exactly one of: all credentials of a user, a token id, a session, a complete token.

        Returns how many connections of this node it closed.

        Raises:
            ValueError: none was given, or more than one.
        """
        named = {
            RevocationKind.SUBJECT: user,
            RevocationKind.TOKEN_ID: jti,
            RevocationKind.SESSION: session,
            RevocationKind.TOKEN: token,
        }
        chosen = [(kind, value) for kind, value in named.items() if value]
        if len(chosen) != 1:
            raise ValueError("name exactly one of user, jti, session and token")
        return (await self.operations.revoke(*chosen[0])).ended

    async def set_roles(self, user: str, roles: Iterable[str]) -> None:
        """Replace a user's roles in the directory; rights of open connections are checked again at once."""
        await self.operations.set_roles(user, roles)

    async def ticket(self, token: str) -> str:
        """Exchange a token for a single-use ticket, valid for one minute.

        Raises:
            CommandError: the token is not valid.
        """
        return await self.operations.ticket(token)

    def token(self, sub: str, *, ttl: float = HOUR, **claims: Any) -> str:
        """Make an access token with the first configured secret, for tests and for development.

        `ttl` is in seconds. Without `roles` among the claims the user has the role `user`, which rooms
        require by default, as with `portward token`.

        Raises:
            RuntimeError: tokens are verified with public keys, so only their issuer can make them.
        """
        if not self.settings.tokens.secrets:
            raise RuntimeError("no secret is set: tokens come from their issuer")
        now = self.node.clock.time()
        fields: dict[str, Any] = {
            "sub": sub,
            "iat": int(now),
            "exp": int(now + ttl),
            "jti": random.token_hex(8),
        }
        tokens = self.settings.tokens
        if tokens.issuer:
            fields["iss"] = tokens.issuer
        if tokens.audience:
            fields["aud"] = tokens.audience
        for path, values in tokens.require.items():
            ClaimPath.parse(path).put(fields, values[0])
        if "roles" not in claims and (place := ClaimPath.parse(tokens.claims.roles)).keys:
            split = "roles" in tokens.claims.split
            place.put(fields, DEFAULT_ROLE if split else [DEFAULT_ROLE])
        return sign(fields | claims, tokens.secrets[0].reveal())
