"""A TCP proxy on loopback that breaks connections as a test asks: cut, delayed, slow, or silent.

Each connection has a script, which is chosen when it opens; everything can be changed at run time. What a
script counts are bytes that were forwarded in one direction: `up` is what the client sends, `down` what
the server sends. All times are those of the event loop.
"""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

PIECE: Final = 65536
SLOW_STEPS: Final = 20.0
"""How often in a second a slow connection forwards something."""
LINGER: Final = 5.0
"""Seconds that the proxy waits for the other end of a connection that it ended in order."""


class Cut(Enum):
    """How a connection ends: by a reset, or in order by FIN on both sides."""

    RST = "rst"
    FIN = "fin"


@dataclass(frozen=True)
class Script:
    """What happens to one connection.

    `cut_up` and `cut_down` end it after so many bytes; with 0, when the first byte comes. `hold_up` and
    `hold_down` make it half-open in the same way: both sockets stay, and nothing is forwarded any more.
    `delay` is waited before each piece; `rate` is bytes per second, 0 for no limit. `refuse` resets the
    connection when it is accepted, before the server is asked.
    """

    cut_up: int | None = None
    cut_down: int | None = None
    hold_up: int | None = None
    hold_down: int | None = None
    how: Cut = Cut.RST
    delay: float = 0.0
    rate: float = 0.0
    refuse: bool = False


PLAIN: Final = Script()
Plan = Callable[[int], Script]
"""Gives the script of the connection of this number; the first is number 0."""


def always(script: Script) -> Plan:
    """Return a plan in which each connection has the same script."""
    return lambda _: script


UNHARMED: Final = always(PLAIN)
"""The plan that forwards everything."""


def random_cuts(seed: int, bytes_down: int, cuts: int) -> Plan:
    """Return a plan that cuts the first `cuts` connections, each after a random number of bytes.

    One in eight is cut in what the client sends, or after `bytes_down` where it does not send so much;
    one in eight ends by FIN. The numbers are a function
    of the seed and the number of the connection.
    """

    def choose(number: int) -> Script:
        if number >= cuts:
            return PLAIN
        chance = random.Random(seed * 1_000_003 + number)
        how = Cut.FIN if chance.random() < 0.125 else Cut.RST
        if chance.random() < 0.125:
            return Script(cut_up=chance.randrange(1200), cut_down=bytes_down, how=how)
        return Script(cut_down=chance.randrange(bytes_down), how=how)

    return choose


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a socket so that its peer is sent a reset."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _half_close(writer: asyncio.StreamWriter) -> None:
    """Send FIN after what was written."""
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@dataclass(eq=False)
class Connection:
    """One connection of a client, and the one to the server that belongs to it."""

    number: int
    script: Script
    opened_at: float
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    up: int = 0
    down: int = 0
    ended_at: float | None = None
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._flowing.set()

    @property
    def open(self) -> bool:
        """Whether neither side nor the proxy has ended it."""
        return self.ended_at is None

    def cut(self, how: Cut = Cut.RST) -> None:
        """End it on both sides."""
        if not self.open:
            return
        self.ended_at = asyncio.get_running_loop().time()
        for writer in self._writers():
            (_reset if how is Cut.RST else _half_close)(writer)
        self._flowing.set()
        self._over.set()

    def hold(self) -> None:
        """Make it half-open: nothing is forwarded until `resume`."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward again, beginning with what came meanwhile."""
        self._flowing.set()

    async def forward(self, reader: asyncio.StreamReader, server: asyncio.StreamReader) -> None:
        """Forward both ways until it is over."""
        assert self.server is not None
        pumps = [
            asyncio.create_task(self._pump(reader, self.server, "up")),
            asyncio.create_task(self._pump(server, self.client, "down")),
        ]
        over = asyncio.create_task(self._cut_and_drained(pumps))
        try:
            while not over.done() and (running := [each for each in pumps if not each.done()]):
                await asyncio.wait([over, *running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*pumps, over):
                task.cancel()
            await asyncio.gather(*pumps, over, return_exceptions=True)
            self._close()

    async def _cut_and_drained(self, pumps: list["asyncio.Task[None]"]) -> None:
        """Wait for a cut; after one by FIN also wait a little for the ends of both peers."""
        await self._over.wait()
        if not self.client.transport.is_closing():
            await asyncio.wait(pumps, timeout=LINGER)

    def _close(self) -> None:
        if self.ended_at is None:
            self.ended_at = asyncio.get_running_loop().time()
        for writer in self._writers():
            writer.close()

    def _writers(self) -> list[asyncio.StreamWriter]:
        return [self.client] if self.server is None else [self.client, self.server]

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        """Forward one direction."""
        cut = self.script.cut_up if direction == "up" else self.script.cut_down
        held = self.script.hold_up if direction == "up" else self.script.hold_down
        limits = [limit for limit in (cut, held) if limit is not None]
        try:
            while data := await reader.read(PIECE):
                await self._flowing.wait()
                if self.ended_at is not None:
                    continue
                sent = getattr(self, direction)
                left = min(limits, default=sent + len(data)) - sent
                await self._forward(writer, data[: max(left, 0)], direction)
                if cut is not None and getattr(self, direction) >= cut:
                    self.cut(self.script.how)
                elif held is not None and getattr(self, direction) >= held:
                    self.hold()
            await self._flowing.wait()
            _half_close(writer)
        except ConnectionError:
            if self.open:
                self.cut(Cut.RST)

    async def _forward(self, writer: asyncio.StreamWriter, data: bytes, direction: str) -> None:
        """Write at the speed of the script."""
        script = self.script
        if script.delay:
            await asyncio.sleep(script.delay)
        step = max(1, int(script.rate / SLOW_STEPS)) if script.rate else max(1, len(data))
        for start in range(0, len(data), step):
            part = data[start : start + step]
            writer.write(part)
            setattr(self, direction, getattr(self, direction) + len(part))
            await writer.drain()
            if script.rate:
                await asyncio.sleep(len(part) / script.rate)
            await self._flowing.wait()
            if not self.open:
                return


class FaultProxy:
    """Forwards every connection to one server, as its `plan` says. `plan` may be set at any time."""

    def __init__(self, port: int, plan: Plan = UNHARMED) -> None:
        self.plan = plan
        self.port = 0
        self.connections: list[Connection] = []
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """The address for WebSocket clients, without a path."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def attempts(self) -> list[float]:
        """When each connection was accepted."""
        return [connection.opened_at for connection in self.connections]

    @property
    def open(self) -> list[Connection]:
        """The connections that are open now."""
        return [connection for connection in self.connections if connection.open]

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and reset every connection."""
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            connection.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut_all(self, how: Cut = Cut.RST) -> None:
        """End every connection that is open."""
        for connection in self.open:
            connection.cut(how)

    def hold_all(self) -> None:
        """Make every connection that is open half-open."""
        for connection in self.open:
            connection.hold()

    def resume_all(self) -> None:
        """Forward again on every connection."""
        for connection in self.open:
            connection.resume()

    async def accepted(self, count: int) -> Connection:
        """Wait until so many connections were accepted; return the last of them."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.connections) >= count)
        return self.connections[count - 1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = len(self.connections)
        script = self.plan(number)
        now = asyncio.get_running_loop().time()
        connection = Connection(number, script, now, writer)
        self.connections.append(connection)
        async with self._changed:
            self._changed.notify_all()
        try:
            await self._serve(connection, reader)
        except asyncio.CancelledError:
            connection.cut()
        finally:
            self._tasks.discard(task)

    async def _serve(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        """Connect to the server, then forward."""
        if connection.script.refuse:
            connection.cut()
            return
        try:
            server, connection.server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            connection.cut()
            return
        if not connection.open:
            _reset(connection.server)
            return
        await connection.forward(reader, server)


@asynccontextmanager
async def fault_proxy(port: int, plan: Plan = UNHARMED) -> AsyncIterator[FaultProxy]:
    """Run a proxy in front of the server on this port."""
    proxy = FaultProxy(port, plan)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
