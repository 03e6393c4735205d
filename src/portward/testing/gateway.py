"""A gateway without sockets: real gate, real dialects, real core, and clients that are method calls.

    async with memory_gateway() as gateway:
        ann = await connect(gateway, "/rooms")
        ann.send({"type": "auth", "data": {"token": gateway.token("ann", roles=["user"])}, ...})
        assert ann.last("auth_success")

Nothing waits for real time: give it a :class:`FakeClock` and let it leap.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from portward.app.gateway import Gateway
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.limits import OUTBOX_BYTES
from portward.model.request import RequestHead, by_name
from portward.node.sessions import SentCallbacks, TransportCallbacks
from portward.settings import Settings
from portward.telemetry.telemetry import make_telemetry
from portward.testing.clock import FakeClock
from portward.wire.message import WireMessage

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@asynccontextmanager
async def memory_gateway(
    settings: Settings | None = None, *, clock: Clock | None = None, log: io.StringIO | None = None
) -> AsyncIterator[Gateway]:
    """Run a gateway with the memory engine and no listener. Its log goes to `log`, or nowhere."""
    settings, clock = settings or Settings(), clock or FakeClock()
    telemetry = make_telemetry(settings, clock, log or io.StringIO())
    async with Gateway(settings, clock=clock, telemetry=telemetry) as gateway:
        yield gateway


def request(path: str = "/rooms", *, peer: str = "127.0.0.1", **headers: str) -> RequestHead:
    """A well-formed handshake; `headers` replace or add, with `_` for `-`."""
    path, _, query = path.partition("?")
    base = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": KEY,
    }
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead(
        method="GET", path=path, query=query, headers=by_name((base | given).items()), peer=peer
    )


class MemoryClient(SentCallbacks):
    """One connection. Implements `node.sessions.Transport`, and speaks for the peer.

    `received` holds every text message parsed, `binary` every binary one; `closed` is (code, reason)
    once the gateway has closed. With `reading` off nothing is taken, as by a client that stopped.
    """

    def __init__(self) -> None:
        self.open = True
        self.compression = False
        self._waiting = ()
        self.max_unsent = OUTBOX_BYTES
        self.received: list[Any] = []
        self.binary: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.pings = 0
        self.pongs: list[bytes] = []
        self.paused = False
        self.large = False
        self.reading = True
        self.queue: list[tuple[WireMessage, Channel | None]] = []
        self._session: TransportCallbacks | None = None
        self._lost = False

    # -- as the peer

    @property
    def session(self) -> TransportCallbacks:
        """The session behind this connection."""
        if self._session is None:
            raise RuntimeError("not connected")
        return self._session

    def attach(self, session: TransportCallbacks) -> None:
        """Set the session that is called for what the peer does."""
        self._session = session

    def send(self, message: Any) -> None:
        """Send one JSON message; a `timestamp` is added to a rooms envelope that has none."""
        if isinstance(message, dict) and "data" in message:
            message = {"timestamp": 0, **message}
        self.send_bytes(json.dumps(message).encode(), binary=False)

    def send_bytes(self, payload: bytes, *, binary: bool) -> None:
        """Send one message as it is."""
        if self.session.count_frame(control=False):
            self.session.message(payload, binary)

    def pong(self, payload: bytes) -> None:
        """Take the gateway's answer to a ping."""
        self.pongs.append(payload)

    def leave(self, code: int | None = 1000) -> None:
        """Close, or with None just vanish."""
        self.open = False
        self._lose(code)

    def read(self) -> None:
        """Take what is queued, and go on taking."""
        self.reading = True
        queue, self.queue = self.queue, []
        for message, _ in queue:
            self._take(message)
        self._report_sent()

    async def settle(self) -> None:
        """Let the gateway finish what it does in this turn of the loop."""
        for _ in range(5):
            await asyncio.sleep(0)

    def all(self, kind: str) -> list[Any]:
        """Every message of a type, in order."""
        return [message for message in self.received if message["type"] == kind]

    def last(self, kind: str) -> Any:
        """The data of the last message of a type.

        Raises:
            LookupError: none has come.
        """
        found = self.all(kind)
        if not found:
            raise LookupError(f"no {kind!r} among {[each['type'] for each in self.received]}")
        return found[-1]["data"]

    # -- as the gateway's way out

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Take a message, or queue it."""
        if not self.open:
            return
        if self.reading:
            self._take(message)
            return
        self.queue.append((message, channel))
        if self.unsent() > self.max_unsent:
            self.session.slow()

    def _take(self, message: WireMessage) -> None:
        for payload, binary in message.parts():
            if binary:
                self.binary.append(payload)
            else:
                self.received.append(json.loads(payload))

    def drop(self, channel: Channel) -> None:
        """Forget what is queued for a channel."""
        self.queue = [entry for entry in self.queue if entry[1] != channel]

    def discard(self) -> None:
        """Forget everything queued."""
        self.queue.clear()

    def ping(self) -> None:
        """Count a ping and answer it, as browsers do; one that stopped reading does not."""
        self.pings += 1
        if self.open and self.reading:
            self.session.count_frame(control=True)

    def pause(self) -> None:
        """Note that the gateway stopped reading."""
        self.paused = True

    def resume(self) -> None:
        """Note that it reads again."""
        self.paused = False

    def close(self, code: int, reason: str) -> None:
        """Note how the gateway closed, and be gone."""
        if self.open:
            self.closed = (code, reason)
            self.abort()

    def abort(self) -> None:
        """Be gone, as soon as the gateway has finished what it is doing."""
        self.open = False
        self._report_sent()
        asyncio.get_running_loop().call_soon(self._lose, None)

    def _lose(self, code: int | None) -> None:
        if not self._lost:
            self._lost = True
            self.session.lost(code)

    def unsent(self) -> int:
        """Bytes queued."""
        return sum(len(message.frame) for message, _ in self.queue)

    def stale(self, now: float) -> bool:  # noqa: ARG002 - the port
        """Time does not age this queue."""
        return False

    def authenticated(self) -> None:
        """Note that large messages are welcome."""
        self.large = True


async def connect(
    gateway: Gateway, path: str = "/rooms", *, peer: str = "127.0.0.1", **headers: str
) -> MemoryClient:
    """Go through the gate as a client.

    Raises:
        HandshakeRejected: as a real client would be, with the row of the outcome table.
    """
    head = request(path, peer=peer, **headers)
    handler, parameters = gateway.node.handshakes.find(head.path)
    admission = await handler.admit(head, parameters)
    client = MemoryClient()
    client.max_unsent = admission.max_unsent
    client.attach(admission.open(client))
    await client.settle()
    return client
