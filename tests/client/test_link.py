import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from tempfile import TemporaryDirectory

import pytest
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close
from websockets.http11 import Request, Response

from portward.client import Portward
from portward.client.errors import ConnectFailed, HandshakeRefused, StoppedError
from portward.client.link import LinkClosed, dialer, link_dialer
from portward.client.transport import (
    WebSocketDialer,
    _ended,
    checked_address,
    endpoint_address,
    is_loopback,
    own_origin,
    reason_of,
    split_address,
)

Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler, answer: Response | None = None) -> AsyncIterator[str]:
    """A WebSocket server on a free port; with `answer` it refuses every handshake so."""

    def process(_: ServerConnection, __: Request) -> Response | None:
        return answer

    async with serve(handler, "127.0.0.1", 0, process_request=process) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/rooms"


async def echo(connection: ServerConnection) -> None:
    """Send everything back."""
    async for message in connection:
        await connection.send(message)


def response(status: HTTPStatus, **headers: str) -> Response:
    """An HTTP answer without a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status.value, status.phrase, Headers(named), b"")


async def test_texts_go_both_ways() -> None:
    """What is sent arrives, and what comes back is received."""
    async with server(echo) as url:
        link = await dialer(url)()
        await link.send("hällo")
        assert await link.receive() == "hällo"
        await link.close()
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        assert closed.value.code == 1000
        with pytest.raises(LinkClosed):
            await link.send("too late")


async def test_headers_are_sent() -> None:
    """Headers of one's own are part of the handshake."""

    async def tell(connection: ServerConnection) -> None:
        assert connection.request is not None
        await connection.send(connection.request.headers["Origin"])

    async with server(tell) as url:
        link = await dialer(url, headers={"Origin": "http://localhost"})()
        assert await link.receive() == "http://localhost"
        await link.close()


async def test_close_code_is_told() -> None:
    """How the other side closed is what receiving ends with."""

    async def shut(connection: ServerConnection) -> None:
        await connection.close(3503, "force disconnect")

    async with server(shut) as url:
        link = await dialer(url)()
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        assert (closed.value.code, closed.value.reason) == (3503, "force disconnect")


async def test_binary_message_ends_it() -> None:
    """The dialect has no binary messages: one closes the connection with 1003."""

    async def binary(connection: ServerConnection) -> None:
        await connection.send(b"\x00")
        await connection.wait_closed()

    async with server(binary) as url:
        link = await dialer(url)()
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        assert closed.value.code == 1003


async def test_binary_message_as_text() -> None:
    """Where bytes mean something, they are received as the text that was asked for."""

    async def binary(connection: ServerConnection) -> None:
        await connection.send(b"\x00\xff")
        await connection.send("text")
        await connection.wait_closed()

    async with server(binary) as url:
        link = await dialer(url, textual=bytes.hex)()
        assert [await link.receive(), await link.receive()] == ["00ff", "text"]
        await link.close()


@pytest.mark.parametrize(
    ("rcvd", "sent", "code"),
    [
        (None, None, None),
        (None, Close(1011, "keepalive ping timeout"), None),
        (None, Close(1009, "too big"), 1009),
        (Close(3008, "slow"), None, 3008),
    ],
)
def test_end_of_a_connection(rcvd: Close | None, sent: Close | None, code: int | None) -> None:
    """The peer's code counts, then our own, but for the one that says the peer fell silent."""
    assert _ended(ConnectionClosedError(rcvd, sent)).code == code


@pytest.mark.parametrize(("wait", "seconds"), [("7", 7.0), ("soon", None)])
async def test_refused_handshake(wait: str, seconds: float | None) -> None:
    """A status instead of an upgrade is told, with when to come back."""
    answer = response(HTTPStatus.SERVICE_UNAVAILABLE, Retry_After=wait)
    async with server(echo, answer) as url:
        with pytest.raises(HandshakeRefused) as refused:
            await dialer(url)()
    assert (refused.value.status, refused.value.retry_after) == (503, seconds)


async def test_redirect_is_not_followed() -> None:
    """A redirect is an answer like any other: the secrets are for the host that was named."""
    async with server(echo) as elsewhere:
        moved = response(HTTPStatus.FOUND, Location=elsewhere)
        async with server(echo, moved) as url:
            with pytest.raises(HandshakeRefused, match="302"):
                await dialer(url)()


async def test_nobody_there() -> None:
    """A port nobody listens on is told in plain words."""
    async with server(echo) as url:
        pass
    with pytest.raises(ConnectFailed, match="connection refused"):
        await dialer(url)()


@asynccontextmanager
async def listener(answer: bytes) -> AsyncIterator[str]:
    """A server that is none for WebSockets: it says one thing, and hears its peer go."""
    served = asyncio.Event()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read()
        writer.close()
        served.set()

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/"
        await served.wait()


async def test_no_websocket_server() -> None:
    """A server that speaks something else is told as such."""
    async with listener(b"220 mail.example.org\r\n") as url:
        with pytest.raises(ConnectFailed, match="no WebSocket connection"):
            await dialer(url)()


async def test_silent_server() -> None:
    """A server that does not answer the handshake is given up."""
    async with listener(b"") as url:
        with pytest.raises(ConnectFailed, match="no answer in time"):
            await dialer(url, timeout=0.05)()


@pytest.mark.parametrize("url", ["", "http://127.0.0.1/", "ws://", "rooms"])
def test_address_is_checked(url: str) -> None:
    """What is no WebSocket address is refused before anything is tried."""
    with pytest.raises(ValueError, match="not a WebSocket address"):
        dialer(url)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("x.org", False),
    ],
)
def test_proxy_is_for_other_machines(host: str, here: bool) -> None:
    """No proxy of the environment is used to this machine."""
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] x"),
            "connection refused",
        ),
        (OSError(-2, "Name or service not known"), "name or service not known"),
        (OSError("strange"), "strange"),
        (OSError(), "failed"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS: failed"),
    ],
)
def test_reasons_in_plain_words(error: OSError, text: str) -> None:
    """The reason is the operating system's, without addresses and numbers."""
    assert reason_of(error) == text


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("ws://h:1/live", "http://h:1"),
        ("wss://h", "https://h"),
        ("wss://user:secret@h/x", "https://h"),
    ],
)
def test_own_origin(url: str, origin: str) -> None:
    """The origin of the gateway has its scheme, host and port, and no credentials."""
    assert own_origin(url) == origin


async def test_bytes_and_giving_up() -> None:
    """A transport carries bytes; given up, it ends at once as one that broke."""
    async with server(echo) as url:
        transport = await WebSocketDialer(headers={"X-One": "1"})(url, {"X-Two": "2"})
        await transport.send(b"\x00\xff")
        assert await transport.receive() == b"\x00\xff"
        transport.abort()
        with pytest.raises(LinkClosed) as closed:
            await transport.receive()
        assert closed.value.code is None
        with pytest.raises(LinkClosed):
            await transport.send("x")


async def test_a_link_in_the_place_of_a_transport() -> None:
    """A function that makes links serves where transports are made."""
    async with server(echo) as url:
        transport = await link_dialer(dialer(url))("", {})
        await transport.send("one")
        assert await transport.receive() == "one"
        await transport.send(b"two")
        assert await transport.receive() == "two"
        transport.abort()
        await transport.close(1000)


@pytest.mark.parametrize(
    ("url", "socket", "inside"),
    [
        ("ws+unix:/run/x.sock:/rooms", "/run/x.sock", "ws://localhost/rooms"),
        ("wss+unix:/run/x.sock:/live", "/run/x.sock", "wss://localhost/live"),
        ("ws+unix:///run/x.sock:/rooms?a=b:/c", "/run/x.sock", "ws://localhost/rooms?a=b:/c"),
        ("ws+unix:/run/x.sock", "/run/x.sock", "ws://localhost"),
        ("ws://h/x+unix:/run/x.sock", None, "ws://h/x+unix:/run/x.sock"),
    ],
)
def test_the_address_of_a_unix_socket(url: str, socket: str | None, inside: str) -> None:
    """An address that names a socket has the endpoint after a colon; any other stays as it is."""
    assert split_address(url) == (socket, inside)
    assert checked_address(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "ws+unix:",
        "ws+unix:run/x.sock:/rooms",
        "http+unix:/run/x:/rooms",
        "ws+unix:/x:rooms",
        "ws:/x",
    ],
)
def test_what_is_no_address(url: str) -> None:
    """A relative path, another scheme, and an endpoint without a slash are refused."""
    with pytest.raises(ValueError, match="not a WebSocket address"):
        checked_address(url)


def test_the_origin_beside_a_unix_socket() -> None:
    """Its pages would come from this machine."""
    assert own_origin("ws+unix:/run/x.sock:/live") == "http://localhost"


async def test_a_unix_socket() -> None:
    """The handshake is sent to the socket, for the path of the endpoint."""

    async def tell(connection: ServerConnection) -> None:
        assert connection.request is not None
        await connection.send(f"{connection.request.headers['Host']}{connection.request.path}")

    with TemporaryDirectory(prefix="pw") as folder:
        async with unix_serve(tell, f"{folder}/x.sock"):
            link = await dialer(f"ws+unix:{folder}/x.sock:/rooms?a=b")()
            assert await link.receive() == "localhost/rooms?a=b"
            await link.close()


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("ws://h:1", "ws://h:1/rooms"),
        ("wss://h/prefix/", "wss://h/prefix/rooms"),
        ("ws+unix:/run/x.sock", "ws+unix:/run/x.sock:/rooms"),
        ("ws+unix:/run/x.sock:/", "ws+unix:/run/x.sock:/rooms"),
        ("ws+unix:/run/x.sock:/prefix", "ws+unix:/run/x.sock:/prefix/rooms"),
    ],
)
def test_the_address_of_an_endpoint(base: str, address: str) -> None:
    """The path of the endpoint follows the address of the gateway, at a Unix socket after a colon."""
    assert endpoint_address(base, "/rooms") == address


async def test_a_client_at_a_unix_socket() -> None:
    """The client reaches each endpoint by the socket; its repr names the socket."""
    paths: list[str] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.close(3500, "disconnect")

    with TemporaryDirectory(prefix="pw") as folder:
        address = f"ws+unix:{folder}/x.sock"
        async with unix_serve(note, f"{folder}/x.sock"), Portward(address) as client:
            assert repr(client) == f"Portward('{address}', unused)"
            with pytest.raises(StoppedError):
                await client.room("lobby").join()
            with suppress(StoppedError):
                await client.live(cookie="a=b").connect()
    assert paths == ["/rooms", "/live"]
