"""The services that `portward demo` adds to a gateway: pages, logins, simulations, a simulated user."""

import asyncio
import secrets
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.cli import demo_robot
from portward.cli.demo_info import DAY, ROOM, DemoInfo, tokens
from portward.cli.demo_publisher import DemoPublisher
from portward.cli.ports import free_port
from portward.cli.signing import TokenClaims, mint
from portward.demo.analysis import SimulatedEngine
from portward.demo.listener import HOST, DemoListener
from portward.demo.match import LEAGUE, TRAINING, SimulatedMatch
from portward.demo.people import PRIVATE, PUBLIC
from portward.demo.provider import StandInProvider
from portward.demo.site import Site
from portward.demo.upstream import StandInUpstream
from portward.demo.workspace import PATIENCE, SimulatedWorkspace
from portward.node.ports import ActionInfo
from portward.node.sessions import LoopClock
from portward.node.socketio_server import EventError
from portward.settings import Loaded, Settings, load

PORT: Final = 8080
_SETTINGS: Final = """
[engine]
url = "memory://"
[identity_provider]
url = "{url}"
revalidate = "10s"
[identity_provider.topics]
"event:{{id}}" = "/items/events/{{id}}?fields=id"
[upstream]
url = "ws://{host}:{port}/v1/realtime?model={{model}}"
api_key = "{key}"
allow_private = true
max_tokens = 20000
[roles]
agent = ["dashboard.*", "approvals.decide"]
"""
PACE: Final = 0.05
"""Seconds between two parts of an answer of the simulated upstream: slow enough to be visible."""


def listener() -> DemoListener:
    """Open the port of the pages and the identity provider: after the gateway's two, or the next free one.

    Raises:
        OSError: no port is free.
    """
    return DemoListener(PORT + 2)


def loaded(provider: str, *, verbose: bool = True) -> Loaded:
    """Return the settings of the demo: the defaults, on free ports, with `provider` as identity provider.

    Without `verbose`, the log has only warnings and errors.

    Neither a file nor the environment is read.
    """
    port = free_port(HOST, PORT)
    flags: dict[str, object] = {"server.port": port, "server.admin_port": free_port(HOST, port + 1)}
    if not verbose:
        flags["log.level"] = "warning"
    upstream = free_port(HOST, port + 3)
    text = _SETTINGS.format(url=provider, host=HOST, port=upstream, key=secrets.token_urlsafe(32))
    written = {"the demo": text}
    return load({}, "the demo", flags=flags, read=written.__getitem__)


class DemoServices:
    """All services beside the gateway. Call `begin` when it runs; leaving the context stops the services.

    `settings` use the `listener` as identity provider; the pages are served there too. `announce` is called
    with the line about the page to open, `detail` with all other lines.
    """

    def __init__(
        self,
        settings: Settings,
        listener: DemoListener,
        announce: Callable[[str], None],
        detail: Callable[[str], None],
        *,
        pause: float = demo_robot.PAUSE,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._announce = announce
        self._detail = detail
        self._pause = pause
        self._simulations: list[SimulatedEngine | SimulatedMatch | SimulatedWorkspace] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._upstream: StandInUpstream | None = None

    async def __aenter__(self) -> Self:
        given = self._settings.upstream
        upstream = StandInUpstream(
            self._settings,
            LoopClock(),
            key=given.api_key.reveal(),
            port=urlsplit(given.url).port or 0,
        )
        upstream.pace = PACE
        self._upstream = await upstream.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for simulation in self._simulations:
            simulation.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._upstream is not None:
            await self._upstream.__aexit__(kind, error, traceback)
        await self._listener.stop()

    def begin(self, gateway: Gateway, server: Server) -> None:
        """Start all services; the gateway must accept connections."""
        engine = self._simulate(gateway)
        provider = StandInProvider(self._settings, gateway.node.clock)
        host, port = server.public.addresses[0]
        admin = "" if server.admin is None else "http://{}:{}".format(*server.admin.address)
        brochure = DemoInfo(
            settings=self._settings,
            address=f"ws://{host}:{port}",
            admin=admin,
            page=self._listener.url,
            users=provider.users,
            tokens=tokens(self._settings),
        )
        site = Site(
            provider,
            self._listener.port,
            gateway=brochure.address,
            told=brochure.told(),
            calls=lambda: engine.calls,
        )
        self._listener.start(site)
        for heading, text in brochure.lines():
            self._detail(f"{heading:<12} {text}")
        self._announce(f"open {brochure.page}/ in a browser; Ctrl-C ends the demo")
        talker = mint(self._settings, TokenClaims(sub=demo_robot.ROBOT, roles=("user",), ttl=DAY))
        talking = demo_robot.talk(brochure.at("rooms"), ROOM, talker, self._pause)
        self._tasks.append(asyncio.create_task(talking))

    def _simulate(self, gateway: Gateway) -> SimulatedEngine:
        clock, random = gateway.node.clock, Random()  # noqa: S311 - for a simulation, not a secret
        engine = SimulatedEngine(clock, random)
        gateway.alerts.connect_engine(engine)
        outlet = DemoPublisher(gateway.publish)
        self._tasks.append(asyncio.create_task(outlet.run()))
        matches = [
            SimulatedMatch(clock, random, f"live:event:{event}", outlet, pairs=pairs)
            for event, pairs in ((PUBLIC, LEAGUE), (PRIVATE, TRAINING))
        ]
        self._simulations += [engine, *matches, self._workplace(gateway, random)]
        for simulation in self._simulations:
            simulation.start()
        return engine

    def _workplace(self, gateway: Gateway, random: Random) -> SimulatedWorkspace:
        """Make the shop; user actions reach it as they would reach an application's action handler."""

        async def emit(room: str, data: object, *, key: str) -> None:
            await gateway.workspaces.emit(room, key, data)

        async def ask(workspace: str, data: object, *, key: str) -> None:
            await gateway.workspaces.request_approval(workspace, key, data, expires_in=PATIENCE)

        telling, asking = DemoPublisher(emit), DemoPublisher(ask)
        self._tasks += [asyncio.create_task(each.run()) for each in (telling, asking)]
        shop = SimulatedWorkspace(gateway.node.clock, random, telling, asking)

        @gateway.workspaces.on_action
        def act(action: ActionInfo) -> dict[str, int]:
            done = shop.act(action.action)
            if done is None:
                raise EventError("UNKNOWN_ACTION", "there are refresh and reset")
            return done

        return shop
