"""The life of a gateway: its parts are built, started, reloaded and stopped here."""

import secrets as random
from types import TracebackType
from typing import Final, NamedTuple, Self

from msgspec.structs import replace

from portward.app.build import apply_settings, make_node, make_ports
from portward.app.judging import refuse_start
from portward.app.single_process import ProcessClaim
from portward.app.webhook import Webhook, targets
from portward.engines.port import Engine
from portward.model.clock import Clock
from portward.node.node import Node, NodePorts
from portward.node.sessions import Hooks, LoopClock
from portward.protocols.rooms.declared import DeclaredRooms, declared
from portward.protocols.workspaces.handlers import DECIDED
from portward.settings import Secret, Settings, reloaded, resolve
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.telemetry import make_telemetry
from portward.transports.engineio import EngineServer, engine_handlers
from portward.transports.request_router import RequestRouter

_NOT_RUNNING: Final = "the gateway is not running: enter it with `async with` first"


class RunningParts(NamedTuple):
    """What exists while a gateway runs."""

    node: Node
    ports: NodePorts
    engine_io: EngineServer
    router: RequestRouter
    rooms: DeclaredRooms
    webhook: Webhook


class Running:
    """The parts of a gateway while it runs; each method raises RuntimeError when it does not."""

    def __init__(self) -> None:
        self._parts: RunningParts | None = None

    def set(self, parts: RunningParts | None) -> None:
        """Set the parts at the start, None at the stop."""
        self._parts = parts

    def parts(self) -> RunningParts:
        """Return all parts."""
        if self._parts is None:
            raise RuntimeError(_NOT_RUNNING)
        return self._parts

    def node(self) -> Node:
        """Return the node."""
        return self.parts().node

    def clock(self) -> Clock:
        """Return the clock."""
        return self.parts().node.clock

    def router(self) -> RequestRouter:
        """Return the router that transports ask for the handler of a path."""
        return self.parts().router


class Runtime:
    """Builds, starts, reloads and stops the parts; an asynchronous context manager, used once."""

    def __init__(
        self,
        settings: Settings,
        running: Running,
        hooks: Hooks,
        clock: Clock | None,
        engine: Engine | None,
        telemetry: Telemetry | None,
    ) -> None:
        self.settings = with_secret(settings)
        self._running = running
        self._hooks = hooks
        self._clock = clock
        self._engine = engine
        self._telemetry = telemetry
        self._claim = ProcessClaim()
        self._started = self._stopped = False

    async def start(self) -> None:
        """Build all parts and start."""
        if self._started:
            raise RuntimeError("a gateway is started once")
        refuse_start(self.settings)
        if self._engine is None and self.settings.engine_url.startswith("memory:"):
            self._claim.take()
        parts = self._build()
        self._started = True
        self._running.set(parts)
        node, ports = parts.node, parts.ports
        node.telemetry.start()
        ports.verifier.start()
        try:
            await node.start()
            await parts.rooms.declare(declared(self.settings))
        except BaseException:
            await self.stop()
            raise
        node.telemetry.record(Event.SERVER_START, environment=self.settings.environment)

    def _build(self) -> RunningParts:
        clock = self._clock or LoopClock()
        settings = resolve(self.settings)
        telemetry = self._telemetry or make_telemetry(settings, clock)
        ports = make_ports(settings, self._engine, clock, telemetry)
        webhook = Webhook(targets(self.settings), clock, telemetry)
        self._hooks.listeners[DECIDED] = [webhook.decided]
        node = make_node(settings, ports, self._hooks)
        service = node.handshakes
        engine_io = EngineServer(service, clock)
        router = RequestRouter(service, engine_handlers(engine_io), engine_io.sessions)
        return RunningParts(node, ports, engine_io, router, DeclaredRooms(node), webhook)

    async def stop(self) -> None:
        """Close every connection at once and release all resources."""
        if not self._started or self._stopped:
            return
        self._stopped = True
        node, ports, engine_io, _, _, webhook = self._running.parts()
        self._running.set(None)
        node.telemetry.record(Event.SERVER_STOP)  # before the last checkpoint is made
        await node.stop()
        await webhook.aclose()
        engine_io.close()
        if ports.provider is not None:
            await ports.provider.aclose()
        await ports.question.aclose()
        await ports.verifier.aclose()
        node.telemetry.close()
        self._claim.release()

    def reload(self, settings: Settings) -> None:
        """Apply the settings that can change while running.

        Raises:
            SettingsError: the new settings cannot be served; the old ones stay in use.
            ValueError: a key or an origin among them is unusable; the old ones stay in use.
        """
        parts = self._running.parts()
        if not settings.production and not _has_key(settings):
            tokens = replace(settings.tokens, secrets=self.settings.tokens.secrets)
            settings = replace(settings, tokens=tokens)
        merged = reloaded(self.settings, settings)
        refuse_start(merged)
        apply_settings(resolve(merged), parts.ports, parts.node, parts.rooms)
        parts.webhook.adopt(targets(merged))
        self.settings = merged

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


def with_secret(settings: Settings) -> Settings:
    """Return the settings with a random secret for this run, if there is none, in development."""
    if settings.production or _has_key(settings):
        return settings
    made = replace(settings.tokens, secrets=(Secret(random.token_hex(32)),))
    return replace(settings, tokens=made)


def _has_key(settings: Settings) -> bool:
    """Return whether the settings have a key to verify tokens with."""
    tokens = settings.tokens
    return bool(tokens.secrets or tokens.jwks_url or tokens.public_keys)
