"""What the tests of transports share: an open gate, sessions that remember, and raw clients."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portward.model.disconnects import Disconnect
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.path_router import PathParameters
from portward.model.request import RequestHead
from portward.node.sessions.endpoint import ActiveEndpoint
from portward.node.sessions.path_handler import Answer, HttpReply, PathHandler
from portward.node.sessions.pending_connections import PendingConnections
from portward.node.sessions.transport import Admission, Transport
from portward.testing.clock import FakeClock
from portward.transports.listener import DescriptorBudget, Listener
from portward.transports.listener_state import ListenerState
from portward.transports.request_router import RequestRouter
from portward.wire import message
from tests.certificates import make_certificates

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_MASK = bytes.fromhex("37fa213d")
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(path: str = "/ws", **headers: str) -> bytes:
    """A request to upgrade; keywords add headers (underscores for hyphens)."""
    fields = {
        "Host": "gate.example",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """A frame as a client sends it."""
    first = bytes(((0x80 if fin else 0) | rsv << 4 | opcode,))
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    repeated = int.from_bytes((_MASK * (size // 4 + 1))[:size], "big")
    body = (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")
    return first + length + _MASK + body


@dataclass
class FakeSession:
    """A receiver that remembers what it was told, and answers as a session would."""

    link: Transport
    echo: bool = False
    pongs: bool = False
    allowed: bool = True
    on_message: Callable[[bytes], None] | None = None
    ends_itself: bool = True
    messages: list[tuple[bytes, bool]] = field(default_factory=list)
    controls: list[bool] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    partials: list[bool] = field(default_factory=list)
    failures: list[tuple[Disconnect, str]] = field(default_factory=list)
    slows: int = 0
    busy: bool = False
    parting: Callable[[], object] | None = None
    losses: list[int | None] = field(default_factory=list)

    def count_frame(self, control: bool) -> bool:
        """Remember which kind it was."""
        self.controls.append(control)
        return self.allowed

    def message(self, payload: bytes, binary: bool) -> None:
        """Remember it, echo it, and do what the test asked."""
        self.messages.append((payload, binary))
        if self.echo:
            self.link.write(message.binary(payload) if binary else message.text(payload))
        if self.on_message is not None:
            self.on_message(payload)

    def ping_received(self, payload: bytes) -> None:
        """Remember it, and answer it."""
        self.pings.append(payload)
        if self.pongs:
            self.link.pong(payload)

    def partial(self, pending: bool) -> None:
        """Remember it."""
        self.partials.append(pending)

    def due(self) -> None:
        """Nothing is."""

    def fail(self, ending: Disconnect, cause: str) -> None:
        """Remember it, and close."""
        self.failures.append((ending, cause))
        if self.ends_itself:
            self.link.discard()
            self.link.close(ending.code, ending.reason)

    def slow(self) -> None:
        """Count it."""
        self.slows += 1

    def peer_closed(self, then: Callable[[], object]) -> None:
        """Part at once; while busy, when `handle` is called."""
        if self.busy:
            self.parting = then
        else:
            then()

    def handle(self) -> None:
        """Have handled what the peer said before it closed."""
        self.busy = False
        then, self.parting = self.parting, None
        if then is not None:
            then()

    def lost(self, code: int | None) -> None:
        """Remember the code."""
        self.losses.append(code)

    @property
    def endings(self) -> list[Disconnect]:
        """The endings of the failures."""
        return [ending for ending, _ in self.failures]


@dataclass
class FakeAdmission:
    """A newcomer that was let in."""

    gate: "FakeGate"
    max_message: int = 65536
    max_unsent: int = 1024 * 1024
    max_early: int = 8 * 1024
    compression: bool = False
    subprotocol: str | None = None
    cancelled: int = 0

    def open(self, link: Transport) -> FakeSession:
        """Open a session that remembers."""
        session = FakeSession(link)
        self.gate.sessions.append(session)
        if self.gate.on_open is not None:
            self.gate.on_open(session)
        return session

    def cancel(self) -> None:
        """Count it."""
        self.cancelled += 1


class FakeGate:
    """Lets everyone in, unless told otherwise, and remembers."""

    def __init__(self) -> None:
        self.full: HandshakeRejection | None = None
        self.answers = {"/health": HttpReply(200, b'{"status":"ok"}')}
        self.endpoint: ActiveEndpoint | None = None
        self.handlers: dict[str, PathHandler] = {}
        self.refuse: BaseException | None = None
        self.hold: asyncio.Event | None = None
        self.options: dict[str, Any] = {}
        self.on_open: Callable[[FakeSession], None] | None = None
        self.heads: list[RequestHead] = []
        self.parameters: list[PathParameters] = []
        self.checked: list[bool] = []
        self.admissions: list[FakeAdmission] = []
        self.sessions: list[FakeSession] = []
        self.follow_ups: list[tuple[RequestHead, Admission]] = []
        self.stranger: HandshakeRejected | None = None
        self.refusals: list[tuple[RequestHead | None, HandshakeRejected]] = []
        self.pending = PendingConnections(2000, FakeClock())

    def has_capacity(self) -> HandshakeRejection | None:
        """Say what the test wants."""
        return self.full

    def answer(self, head: RequestHead) -> HttpReply | None:
        """Answer what the test prepared."""
        return self.answers.get(head.path)

    async def admit(
        self, head: RequestHead, parameters: PathParameters = (), *, upgrade_checked: bool = False
    ) -> FakeAdmission:
        """Let in, wait or refuse, as the test wants."""
        self.parameters.append(parameters)
        self.heads.append(head)
        self.checked.append(upgrade_checked)
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse is not None:
            raise self.refuse
        admission = FakeAdmission(self, **self.options)
        self.admissions.append(admission)
        return admission

    async def verify_followup(self, head: RequestHead, admission: Admission) -> None:
        """Let it come, or refuse, as the test wants."""
        self.follow_ups.append((head, admission))
        if self.stranger is not None:
            raise self.stranger

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Remember it."""
        self.refusals.append((head, refused))

    @property
    def reasons(self) -> list[HandshakeRejection]:
        """The rows of the refusals."""
        return [refused.refusal for _, refused in self.refusals]


class FakePath:
    """One path behind the gate, which decides; with a request handler, what serves plain requests."""

    def __init__(
        self,
        gate: FakeGate,
        endpoint: ActiveEndpoint | None = None,
        answer: Answer | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.answer = answer
        self.admit = gate.admit
        self.refused = gate.refused


class Client:
    """One TCP connection that does what it is told, byte by byte, and reads only when asked."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.data = b""

    @classmethod
    async def to(cls, port: int, *, receive_buffer: int | None = None) -> "Client":
        """Connect to a port of this machine."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return cls(sock)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self.loop.sock_sendall(self.sock, data)

    async def _more(self) -> bool:
        data = await self.loop.sock_recv(self.sock, 65536)
        self.data += data
        return bool(data)

    async def take(self, size: int) -> bytes:
        """The next bytes, exactly so many."""
        while len(self.data) < size:
            if not await self._more():
                raise EOFError(self.data)
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    async def head(self) -> list[str]:
        """The lines of the next HTTP head."""
        while b"\r\n\r\n" not in self.data:
            if not await self._more():
                raise EOFError(self.data)
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        return head.decode("latin-1").split("\r\n")

    async def frame(self) -> tuple[int, bytes]:
        """The first byte of the next frame, and its payload."""
        first, size = await self.take(2)
        if size == 126:
            size = int.from_bytes(await self.take(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.take(8), "big")
        return first, await self.take(size)

    async def closed(self) -> tuple[int, str]:
        """The close frame that must come next, as code and reason."""
        first, body = await self.frame()
        assert first == 0x88, (first, body)
        return (int.from_bytes(body[:2], "big") if body else 1005), body[2:].decode()

    async def rest(self) -> bytes:
        """Everything up to the end, which must be orderly."""
        while await self._more():
            pass
        taken, self.data = self.data, b""
        return taken

    def leave(self) -> None:
        """Close in order."""
        self.sock.close()

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@dataclass
class RunningListener:
    """A listener that serves, and the hands to reach in."""

    gate: FakeGate
    clock: FakeClock
    listener_state: ListenerState
    listener: Listener
    port: int
    clients: list[Client]

    async def client(self, *, receive_buffer: int | None = None) -> Client:
        """A client that has said nothing yet."""
        client = await Client.to(self.port, receive_buffer=receive_buffer)
        self.clients.append(client)
        return client

    async def enter(
        self, path: str = "/ws", *, receive_buffer: int | None = None, **headers: str
    ) -> tuple[Client, FakeSession]:
        """A client that was let in, and its session."""
        client = await self.client(receive_buffer=receive_buffer)
        await client.send(handshake(path, **headers))
        assert (await client.head())[0] == "HTTP/1.1 101 Switching Protocols"
        return client, self.gate.sessions[-1]


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds.

    Bounded here: the signal of a test's time limit does not reach code that runs under uvloop.
    """
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not happen")


@asynccontextmanager
async def run_listener(
    gate: FakeGate | None = None,
    *,
    descriptors: int | None = None,
    proxies: Callable[[str], bool] | None = None,
    **options: Any,
) -> AsyncIterator[RunningListener]:
    """Serve on a free port of this machine, with time that stands still."""
    gate, clock = gate or FakeGate(), FakeClock()
    listener_state = ListenerState(RequestRouter(gate), clock, random=lambda: 0.0, **options)
    listener = Listener(
        listener_state, "127.0.0.1", 0, descriptors=DescriptorBudget(descriptors), proxies=proxies
    )
    await listener.start()
    running = RunningListener(gate, clock, listener_state, listener, listener.addresses[0][1], [])
    try:
        yield running
    finally:
        for client in running.clients:
            client.leave()
        listener.close()
        for session in gate.sessions:
            session.link.abort()
        await until(lambda: listener_state.sockets == 0)


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server and of a client that trusts it."""
    made = make_certificates(folder, "localhost")
    return made.server_context(), made.client_context()
