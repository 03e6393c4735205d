"""What `portward demo` puts around a gateway: addresses to paste, a page, somebody to talk to."""

import asyncio
import shutil
import sys
from collections.abc import Callable
from itertools import cycle
from types import TracebackType
from typing import Final, NoReturn, Self

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.cli.minting import Bearer, mint
from portward.cli.page import Page
from portward.cli.ports import free_port
from portward.client import ClientError, RoomsClient
from portward.settings import Loaded, Settings, load

HOST: Final = "127.0.0.1"
PORT: Final = 8080
ROOM: Final = "lobby"
USERS: Final = ("alice", "bob")
ROBOT: Final = "robin (simulated)"
PAUSE: Final = 8.0
"""Seconds between two things the simulated user says."""
DAY: Final = 86_400.0
SAYINGS: Final = (
    "Hello. I am simulated: I say something every few seconds so that the room is not empty.",
    "Open the page in a second window as the other user, and watch the list of people.",
    "Try this: kill -9 a terminal client, let me talk, start it again. It misses nothing.",
    "History lasts a thousand messages here; the page shows the last of them when you come in.",
    "Whoever reads too slowly is closed, comes back, and catches up.",
    "Every message has an offset. That is how a client knows where it was.",
)


def loaded() -> Loaded:
    """The settings of the demo: the defaults, on ports that are free. No file is read."""
    port = free_port(HOST, PORT)
    flags = {"server.port": port, "server.admin_port": free_port(HOST, port + 1)}
    return load({}, flags=flags, read=_no_file)


def _no_file(path: str) -> NoReturn:
    raise FileNotFoundError(path)


class Demonstration:
    """Everything beside the gateway itself. `begin` once that runs; leaving the context ends it."""

    def __init__(
        self, settings: Settings, announce: Callable[[str], None], *, pause: float = PAUSE
    ) -> None:
        self._settings = settings
        self._announce = announce
        self._pause = pause
        self._page: Page | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._page is not None:
            self._page.stop()

    def begin(self, _: Gateway, server: Server) -> None:
        """Start everything, now that the gateway accepts."""
        host, port = server.public.addresses[0]
        self._task = asyncio.create_task(self._run(f"ws://{host}:{port}/rooms"))

    async def _run(self, address: str) -> None:
        tokens = {user: self._token(user) for user in USERS}
        self._page = Page(address, ROOM, tokens)
        beside = self._settings.server.admin_port
        where = await self._page.start(HOST, free_port(HOST, beside + 1) if beside else 0)
        self._announce(f"{'page':<12} {where}  (open it in a browser; {where}?as=bob is bob)")
        for user, token in tokens.items():
            self._announce(f"{'token':<12} {user}: {token}")
        for user, token in tokens.items():
            command = f"{program()} connect {address} --subscribe {ROOM} --token {token}"
            self._announce(f"{user + ' talks':<12} {command}")
        self._announce(f"{'leave':<12} Ctrl-C")
        await self._talk(address)

    def _token(self, user: str) -> str:
        return mint(self._settings, Bearer(sub=user, roles=("user",), ttl=DAY))

    async def _talk(self, address: str) -> None:
        """Be the simulated user, for as long as the gateway lets it."""
        try:
            async with RoomsClient(address, token=self._token(ROBOT), reconnect=False) as client:
                listening = asyncio.create_task(_listen(client))
                await client.join(ROOM)
                for saying in cycle(SAYINGS):
                    await client.say(ROOM, saying)
                    await asyncio.wait({listening}, timeout=self._pause)
        except ClientError:
            return


def program() -> str:
    """How this program is called from where it was started."""
    return "portward" if shutil.which("portward") else sys.argv[0]


async def _listen(client: RoomsClient) -> None:
    """Hear everything, so that nothing piles up; the end of it is the talker's business."""
    try:
        async for _ in client:
            pass
    except ClientError:
        return
