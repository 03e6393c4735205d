import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from portward.model.errors import Unavailable
from portward.node.sessions import start_eager
from portward.protocols.relay.ports import UpstreamClosed, UpstreamLink, UpstreamPort
from portward.protocols.relay.upstream import UpstreamClient
from portward.protocols.relay.upstream_link import UpstreamConnection
from tests.protocols.relay.upstream.upstreams import (
    KEY,
    MODEL,
    Raw,
    accepted,
    client,
    raw,
    serving,
    still,
    until,
)
from tests.realtime_api import FaultyUpstream

CANARY = "canary-body-77aa"


async def idle(peer: ServerConnection) -> None:
    """Say nothing."""
    await peer.wait_closed()


async def refusal(url: str, **options: Any) -> str:
    """What the log may know of an attempt that fails."""
    with pytest.raises(Unavailable) as refused:
        await client(url, **options).open(MODEL)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    for secret in (KEY, CANARY, "realtime", "127.0.0.1", "model"):
        assert secret not in repr(refused.value)
    return str(refused.value)


def answer(status: str, *headers: str, body: str = CANARY) -> Callable[[bytes], bytes]:
    """An HTTP answer."""
    fields = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return lambda _: f"{fields}\r\n\r\n{body}".encode()


def upgrading(**changes: str) -> Callable[[bytes], bytes]:
    """The answer that opens a WebSocket, with something wrong about it."""

    def made(head: bytes) -> bytes:
        text = accepted(head).decode()
        for old, new in changes.items():
            name = old.replace("_", "-")
            lines = [new if line.startswith(name) else line for line in text.split("\r\n")]
            text = "\r\n".join(lines)
        return text.encode()

    return made


# -- what is said


async def test_ports() -> None:
    """The client is what the node asks for."""
    async with serving(idle) as url:
        upstream: UpstreamPort = client(url)
        link: UpstreamLink = await upstream.open(MODEL)
        await link.close(1000)


@pytest.mark.p0
async def test_request() -> None:
    """The upstream is told the key, and nothing else but what a handshake needs."""
    async with raw(accepted) as server:
        link = await client(server.url).open("a model/with?odd&chars#é{model}")
        line, *fields = server.heads[0].decode().rstrip().split("\r\n")
        assert line == (
            "GET /v1/realtime?model=a%20model%2Fwith%3Fodd%26chars%23%C3%A9%7Bmodel%7D HTTP/1.1"
        )
        said = dict(field.split(": ", 1) for field in fields)
        assert len(said.pop("Sec-WebSocket-Key")) == 24
        assert said == {
            "Host": f"127.0.0.1:{server.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Authorization": f"Bearer {KEY}",
            "User-Agent": "portward",
        }
        link.drop()


@pytest.mark.p1
@pytest.mark.parametrize("model", ["x\r\nX-Evil: 1", "x y", "\x00", "\ud800", "../../admin"])
async def test_models_that_are_no_words(model: str) -> None:
    """No model reaches past its place in the address."""
    async with raw(accepted) as server:
        (await client(server.url).open(model)).drop()
        line, *fields = server.heads[0].decode().split("\r\n")
        assert line.startswith("GET /v1/realtime?model=")
        assert line.endswith(" HTTP/1.1")
        assert line.count(" ") == 2
        assert not any(field.startswith("X-Evil") for field in fields)


async def test_address_without_a_model() -> None:
    """An upstream with one model needs none in its address."""
    async with raw(accepted) as server:
        (await client(f"ws://127.0.0.1:{server.port}/one").open(MODEL)).drop()
        assert server.heads[0].startswith(b"GET /one HTTP/1.1\r\n")


async def test_key_is_asked_for_each_time() -> None:
    """A key that was changed is used from the next connection on."""
    keys = ["first", "second"]
    async with raw(accepted) as server:
        upstream = UpstreamClient(server.url, lambda: keys.pop(0), allow_private=True)
        for _ in range(2):
            (await upstream.open(MODEL)).drop()
        assert b"Bearer first\r\n" in server.heads[0]
        assert b"Bearer second\r\n" in server.heads[1]


@pytest.mark.p1
@pytest.mark.parametrize("key", ["", " ", "a\r\nX-Evil: 1", "a\nb", "clé", "\x00"])
async def test_keys_that_cannot_be_sent(key: str) -> None:
    """A key that is none is not sent, and not shown."""
    async with raw(accepted) as server:
        upstream = UpstreamClient(server.url, lambda: key, allow_private=True)
        with pytest.raises(Unavailable, match=r"^upstream key cannot be sent$"):
            await upstream.open(MODEL)
        assert server.heads == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://upstream.example/",
        "ws://",
        "ws:///path",
        "wss://name:secret@upstream.example/",
        "wss://name@upstream.example/",
        "wss://{model}.upstream.example/",
        "wss://upstream.example:99999/",
        "wss://upstream.example/#{model}",
        "wss://[::1/",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    """An address that cannot be used is refused at once, and not repeated."""
    with pytest.raises(ValueError, match="address") as refused:
        client(url)
    assert "secret" not in str(refused.value)
    assert "example" not in str(refused.value)


# -- what is answered


@pytest.mark.p1
@pytest.mark.parametrize(
    "status",
    [
        "200 OK",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "429 Wait",
        "500 Oh",
        "503 No",
    ],
)
@pytest.mark.parametrize("upgrade", ["X: y", "Upgrade: websocket\r\nConnection: Upgrade"])
async def test_other_answers(status: str, upgrade: str) -> None:
    """Anything but 101 is a refusal; its status is all that is told of it."""
    async with raw(answer(status, upgrade, f"X-Canary: {CANARY}")) as server:
        assert await refusal(server.url) == f"upstream answered {status[:3]}"
        await server.gone.wait()


@pytest.mark.p1
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["other", "same"])
async def test_redirects(status: int, where: str) -> None:
    """A redirect is a refusal: neither another server nor the same one is asked again."""
    async with raw(accepted) as other, raw(lambda _: b"") as server:
        to = other if where == "other" else server
        server.answer = answer(f"{status} Gone", f"Location: ws://127.0.0.1:{to.port}/{CANARY}")
        assert await refusal(server.url) == f"upstream answered {status}"
        assert len(server.heads) == 1
        assert other.writers == []


@pytest.mark.p1
@pytest.mark.parametrize(
    "made",
    [
        upgrading(Sec_WebSocket_Accept="Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        upgrading(Sec_WebSocket_Accept=f"X: {CANARY}"),
        upgrading(Upgrade="Upgrade: h2c"),
        upgrading(Upgrade="X: y"),
        upgrading(Connection="Connection: close"),
        upgrading(Upgrade="Upgrade: websocket\r\nSec-WebSocket-Protocol: x"),
        upgrading(Upgrade="Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate"),
        lambda _: b"",
        lambda _: b"SSH-2.0-" + CANARY.encode() + b"\r\n",
        lambda _: b"HTTP/1.1 101\r\n\r\n",
        lambda _: b"HTTP/1.1 101 Yes\r\n" + b"X: y\r\n" * 1000,
        lambda _: b"HTTP/1.1 101 Yes\r\nX: " + b"y" * 100_000,
        answer("200 OK", "Transfer-Encoding: chunked"),
    ],
)
async def test_handshakes_that_are_wrong(made: Callable[[bytes], bytes]) -> None:
    """An upgrade that is not ours to believe opens nothing."""
    async with raw(made, reading=False) as server:
        server.reading.set()
        asking = asyncio.ensure_future(refusal(server.url, timeout=30))
        await until(lambda: bool(server.heads))
        for _ in range(50):
            await asyncio.sleep(0)
        for writer in server.writers:
            writer.transport.close()
        assert await asking in {
            "upstream did not open a WebSocket",
            "upstream answered 200",
            "upstream cannot be reached",
        }


async def test_nobody_listens() -> None:
    """An upstream that is not there is unavailable."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert await refusal(f"ws://127.0.0.1:{port}/{{model}}") == "upstream cannot be reached"


@pytest.mark.p1
@pytest.mark.parametrize("url", ["ws://127.0.0.1:{}/", "ws://localhost:{}/", "ws://2130706433:{}/"])
async def test_private_address(url: str) -> None:
    """This machine is no upstream unless the operator says so, and nothing is sent to it."""
    async with raw(accepted) as server:
        private = await refusal(url.format(server.port), allow_private=False)
        assert private == "upstream address is private"
        assert server.writers == []


@pytest.mark.p1
async def test_stand_in() -> None:
    """The stand-in is an upstream like another: it greets who has its key, and nobody else."""
    async with FaultyUpstream(KEY) as upstream:
        link = await client(upstream.url).open(MODEL)
        payload, binary = await link.receive()
        assert (b'"session.created"' in payload, binary) == (True, False)
        await link.close(1000)
        wrong = UpstreamClient(upstream.url, lambda: "sk-other", allow_private=True)
        with pytest.raises(Unavailable, match=r"^upstream answered 401$"):
            await wrong.open(MODEL)
        names = [[name for name, _ in each.headers] for each in upstream.handshakes]
        assert names[0] == names[1]
        assert len(names[0]) == 7


# -- time


@pytest.mark.p1
async def test_upstream_that_does_not_answer() -> None:
    """An upstream that accepts and says nothing is given up in time, and let go of."""
    async with raw(lambda _: b"") as server:
        assert await refusal(server.url, timeout=0.05) == "upstream timed out"
        await server.gone.wait()


async def test_dns_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking the name up is part of the time."""

    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    assert await refusal("ws://upstream.example/", timeout=0.05) == "upstream timed out"


class Resolver:
    """Gives each question the next answer; a name it was not told of is an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self)

    async def __call__(self, _: str, port: int, **__: Any) -> list[Any]:
        """Stands in place of the loop's own method."""
        kind = socket.AF_INET
        return [(kind, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.answers.pop(0)]


@pytest.mark.p1
async def test_dns_that_changes_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was judged is the one that is used: the name is looked up once."""
    async with raw(accepted) as server:
        resolver = Resolver(monkeypatch, ["127.0.0.1"])
        link = await client(f"ws://upstream.example:{server.port}/").open(MODEL)
        assert resolver.answers == []
        assert f"Host: upstream.example:{server.port}\r\n".encode() in server.heads[0]
        link.drop()


async def test_next_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nobody listens is passed over."""
    async with raw(accepted) as server:
        Resolver(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        link = await client(f"ws://upstream.example:{server.port}/").open(MODEL)
        link.drop()


async def test_next_address_of_a_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that does not answer uses up its own share of the time and no more."""
    mute = Raw(lambda _: b"")
    silent = await asyncio.start_server(mute.serve, "127.0.0.2", 0)
    port = silent.sockets[0].getsockname()[1]
    made = Raw(accepted)
    server = await asyncio.start_server(made.serve, "127.0.0.1", port)
    async with silent, server:
        Resolver(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        link = await client(f"ws://upstream.example:{port}/", timeout=0.4).open(MODEL)
        link.drop()
        for each in (made, mute):  # newer Pythons wait at the end for every connection of a server
            each.reading.set()
            await each.gone.wait()


@pytest.mark.p1
async def test_refusal_is_not_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is an answer: no other address is asked whether it likes the key better."""
    async with raw(answer("401 Unauthorized")) as server:
        Resolver(monkeypatch, ["127.0.0.1", "127.0.0.1", "127.0.0.2"])
        url = f"ws://upstream.example:{server.port}/"
        assert await refusal(url) == "upstream answered 401"
        assert len(server.heads) == 1


# -- certificates


async def test_certificate(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """An upstream with a certificate for its name is trusted."""
    server_side, client_side = tls
    async with serving(idle, ssl=server_side) as url:
        secure = url.replace("ws://127.0.0.1", "wss://localhost")
        link = await client(secure, tls=client_side).open(MODEL)
        await link.close(1000)


@pytest.mark.p1
@pytest.mark.parametrize("trusted", [True, False])
async def test_wrong_certificate(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate nobody vouches for, or that is for another name, is refused before the key is sent."""
    server_side, client_side = tls
    async with raw(accepted, tls=server_side) as server:
        host = "127.0.0.1" if trusted else "localhost"
        options = {"tls": client_side} if trusted else {}
        found = await refusal(f"wss://{host}:{server.port}/", **options)
        assert found == "upstream failed the TLS handshake"
        assert server.heads == []


async def test_no_tls_at_all() -> None:
    """An upstream that cannot speak TLS is refused."""
    async with raw(answer("200 OK")) as server:
        found = await refusal(f"wss://127.0.0.1:{server.port}/", timeout=0.2)
        assert found in {"upstream failed the TLS handshake", "upstream timed out"}


# -- the environment


@pytest.mark.p1
async def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment sees the key."""
    async with raw(answer("200 OK")) as proxy, raw(accepted) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        (await client(server.url).open(MODEL)).drop()
        assert proxy.writers == []
        assert len(server.heads) == 1


# -- the key


@pytest.mark.p0
async def test_key_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens, the key is in no log, no name and no exception."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets").setLevel(logging.DEBUG)
    async with raw(answer("401 Unauthorized", f"X: {KEY}", body=KEY)) as server:
        await refusal(server.url)
    # The server is a raw one: `websockets` would log the key itself.
    async with raw(accepted) as server:
        upstream = client(server.url)
        link = await upstream.open(MODEL)
        seen = [repr(upstream), repr(link), repr(link._socket), repr(link._socket.__dict__)]
        seen += [repr(task) for task in asyncio.all_tasks()]
        server.writers[0].transport.abort()
        with pytest.raises(UpstreamClosed) as ended:
            await link.receive()
        seen += [repr(ended.value), str(ended.value)]
    assert not any(KEY in each or "Bearer" in each for each in [*seen, caplog.text])


# -- without a task, and given up


def begin(upstream: UpstreamClient, done: list[Any]) -> asyncio.Future[asyncio.Task[Any] | None]:
    """Open a connection as the node does: at once, from outside any task."""
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[asyncio.Task[Any] | None] = loop.create_future()

    def now() -> None:
        assert asyncio.current_task() is None
        opening = upstream.open(MODEL)
        begun.set_result(start_eager(opening, lambda *outcome: done.append(outcome)))

    loop.call_soon(now)
    return begun


async def test_opening_without_a_task() -> None:
    """A connection can be opened by who has no task."""
    async with serving(idle) as url:
        done: list[Any] = []
        task = await begin(client(url), done)
        assert task is not None
        link = await task
        assert isinstance(link, UpstreamConnection)
        await still(lambda: len(done))
        assert done == [(link, None)]
        await link.close(1000)


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 200])
async def test_opening_is_given_up(turns: int) -> None:
    """Whenever it is given up, the upstream is let go of."""
    async with raw(lambda _: b"") as server:
        done: list[Any] = []
        task = await begin(client(server.url), done)
        assert task is not None
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if server.writers:
            await server.gone.wait()
        await still(lambda: len(asyncio.all_tasks()))
        assert not any("UpstreamClient" in repr(each) for each in asyncio.all_tasks())


@pytest.mark.p1
async def test_given_up_in_the_turn_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that opened in the very turn in which it was given up is cut, not forgotten."""
    async with serving(idle) as url:
        upstream = client(url)
        link = await upstream.open(MODEL)

        async def at_once(_: str) -> UpstreamConnection:
            return link

        monkeypatch.setattr(upstream, "_open", at_once)
        opening = asyncio.ensure_future(upstream.open(MODEL))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        with pytest.raises(UpstreamClosed) as ended:
            await link.receive()
        assert ended.value.code is None


async def test_nothing_is_left_open() -> None:
    """Attempts that fail, or are given up, leave no descriptor behind."""
    async with raw(answer("401 Unauthorized")) as refusing, raw(lambda _: b"") as silent:
        await refusal(refusing.url)
        await still(lambda: 0)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
        for _ in range(5):
            await refusal(refusing.url)
            await refusal(silent.url, timeout=0.02)
        silent.reading.set()
        for writer in refusing.writers + silent.writers:
            writer.transport.abort()
        await still(lambda: 0)
        assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 - a count
