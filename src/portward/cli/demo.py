"""`portward demo`: a gateway with the services around it, on free ports."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from functools import partial
from itertools import cycle
from random import Random
from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.app.server import Server, serve
from portward.cli.serve import completed, free_port, run, show_admin_key
from portward.cli.signing import TokenClaims, mint
from portward.cli.terminal import announce
from portward.client import ClientError, Portward
from portward.demo.engine import SimulatedEngine
from portward.demo.info import ROOM, USERS, DemoInfo
from portward.demo.listener import HOST, DemoListener
from portward.demo.provider import PRIVATE, PUBLIC, StandInProvider
from portward.demo.simulations import (
    DECISION,
    LEAGUE,
    TRAINING,
    SimulatedMatch,
    SimulatedShop,
    Simulation,
)
from portward.demo.site import Site
from portward.demo.upstream import StandInUpstream
from portward.model.errors import Unavailable
from portward.node.sessions import LoopClock
from portward.protocols.socketio.server import EventError
from portward.protocols.workspaces.commands import ActionInfo
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
DAY: Final = 86_400.0
WAITING: Final = 256
"""Publications that wait for the gateway; the simulations do not wait for it."""
EVENT_PACE: Final = 0.05
"""Seconds between two parts of a response of the stand-in upstream, so that they are visible."""
CHAT_USER: Final = "robin (simulated)"
CHAT_PACE: Final = 8.0
"""Seconds between two messages of the simulated user."""
CHAT_MESSAGES: Final = (
    "Hello. I am simulated: I send a message every few seconds so that the room is not empty.",
    "Open the page in a second window as the other user, and watch the list of people.",
    "Try this: kill -9 a terminal client, let me send messages, start it again. It misses nothing.",
    "History lasts a thousand messages here; the page shows the last of them when you come in.",
    "A client that reads too slowly is disconnected; it reconnects and catches up.",
    "Every message has an offset. That is how a client knows what it has received.",
)


def loaded(provider: str, *, verbose: bool = True) -> Loaded:
    """Return the settings of the demo: the defaults, on free ports, with `provider` as identity provider.

    Without `verbose`, the log has only warnings and errors. Neither a file nor the environment is read.
    """
    port = free_port(HOST, PORT)
    flags: dict[str, object] = {"server.port": port, "server.admin_port": free_port(HOST, port + 1)}
    if not verbose:
        flags["log.level"] = "warning"
    upstream = free_port(HOST, port + 3)
    text = _SETTINGS.format(url=provider, host=HOST, port=upstream, key=secrets.token_urlsafe(32))
    return load({}, "the demo", flags=flags, read={"the demo": text}.__getitem__)


def serve_demo(*, verbose: bool) -> int:
    """Serve the demo until a signal stops it; returns the exit code."""
    with closing(DemoListener(free_port(HOST, PORT + 2))) as own:
        made = completed(loaded(own.url, verbose=verbose))
        if verbose:
            show_admin_key(made)
        detail = announce if verbose else lambda _: None

        async def whole() -> int:
            services = DemoServices(made.settings, own, announce, detail)
            async with services:
                return await serve(made.settings, announce=detail, started=services.begin)

        return run(whole(), made.settings)


class DemoPublisher:
    """Publishes in the order of the calls, one at a time. Without room a publication is dropped."""

    def __init__(self, publish: Callable[[str, object, str], Awaitable[object]]) -> None:
        self._publish = publish
        self._waiting: asyncio.Queue[tuple[str, object, str]] = asyncio.Queue(WAITING)

    def __call__(self, channel: str, data: object, key: str) -> None:
        """Queue a publication."""
        if not self._waiting.full():
            self._waiting.put_nowait((channel, data, key))

    async def run(self) -> None:
        """Publish until cancelled, or until the gateway has stopped."""
        while True:
            channel, data, key = await self._waiting.get()
            try:
                await self._publish(channel, data, key)
            except Unavailable:
                continue  # the next publication has newer data of the same kind
            except RuntimeError:
                return  # the gateway has stopped


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
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._announce = announce
        self._detail = detail
        self._simulations: list[Simulation] = []
        self._tasks: list[asyncio.Task[None]] = []
        given = settings.upstream
        port, key = urlsplit(given.url).port or 0, given.api_key.reveal()
        self._upstream = StandInUpstream(settings, LoopClock(), key=key, port=port, pace=EVENT_PACE)

    async def __aenter__(self) -> "DemoServices":
        await self._upstream.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for simulation in self._simulations:
            simulation.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._upstream.__aexit__()
        await self._listener.stop()

    def begin(self, gateway: Gateway, server: Server) -> None:
        """Start all services; the gateway must accept connections."""
        clock, random = gateway.node.clock, Random()  # noqa: S311 - for a simulation, not a secret
        engine = SimulatedEngine(clock, random)
        gateway.alerts.connect_engine(engine)
        self._simulations = [engine, *self._matches(gateway, random), self._shop(gateway, random)]
        for simulation in self._simulations:
            simulation.start()
        provider = StandInProvider(self._settings, clock)
        info = self._info(server, provider)
        self._listener.start(
            Site(
                provider,
                self._listener.port,
                gateway=info.address,
                data=info.pages(),
                calls=lambda: engine.calls,
            )
        )
        for heading, text in info.lines():
            self._detail(f"{heading:<12} {text}")
        self._announce(f"open {info.page}/ in a browser; Ctrl-C ends the demo")
        token = _token(self._settings, sub=CHAT_USER, roles=("user",))
        self._tasks.append(asyncio.create_task(chat(info.address, token, CHAT_PACE)))

    def _info(self, server: Server, provider: StandInProvider) -> DemoInfo:
        host, port = server.public.addresses[0]
        return DemoInfo(
            settings=self._settings,
            address=f"ws://{host}:{port}",
            admin="" if server.admin is None else "http://{}:{}".format(*server.admin.address),
            page=self._listener.url,
            users=provider.users,
            tokens=tokens(self._settings),
        )

    def _publisher(self, publish: Callable[[str, object, str], Awaitable[object]]) -> DemoPublisher:
        publisher = DemoPublisher(publish)
        self._tasks.append(asyncio.create_task(publisher.run()))
        return publisher

    def _matches(self, gateway: Gateway, random: Random) -> list[Simulation]:
        def publish(channel: str, data: object, key: str) -> Awaitable[object]:
            return gateway.publish(channel, data, key=key)

        match = partial(SimulatedMatch, gateway.node.clock, random)
        publisher = self._publisher(publish)
        return [
            match(f"live:event:{event}", publisher, teams)
            for event, teams in ((PUBLIC, LEAGUE), (PRIVATE, TRAINING))
        ]

    def _shop(self, gateway: Gateway, random: Random) -> SimulatedShop:
        """Make the shop; user actions reach it as they would reach an application's action handler."""
        workspaces = gateway.workspaces

        def emit(room: str, data: object, event: str) -> Awaitable[object]:
            return workspaces.emit(room, event, data)

        def request(workspace: str, data: object, title: str) -> Awaitable[object]:
            return workspaces.request_approval(workspace, title, data, expires_in=DECISION)

        publishers = self._publisher(emit), self._publisher(request)
        shop = SimulatedShop(gateway.node.clock, random, *publishers)

        @workspaces.on_action
        def act(action: ActionInfo) -> dict[str, int]:
            figures = shop.act(action.action)
            if figures is None:
                raise EventError("UNKNOWN_ACTION", "the actions are refresh and reset")
            return figures

        return shop


def tokens(settings: Settings) -> dict[str, dict[str, str]]:
    """Make the tokens of all users, by page and by name."""
    return {
        page: {name: _token(settings, **claims) for name, claims in users.items()}
        for page, users in USERS.items()
    }


def _token(settings: Settings, **claims: object) -> str:
    return mint(settings, replace(TokenClaims(sub=""), ttl=DAY, **claims))


async def chat(address: str, token: str, pace: float) -> None:
    """Send messages as the simulated user, until cancelled or until the gateway ends the session."""
    with suppress(ClientError):
        async with Portward(address, get_token=token) as client:
            room = client.room(ROOM)
            await room.join()
            for message in cycle(CHAT_MESSAGES):
                await room.send(message)
                await asyncio.sleep(pace)
