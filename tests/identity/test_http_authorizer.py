"""The application's own answer, asked of a real HTTP server: a clear yes, or a no."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from portward.identity.http_authorizer import IN_FLIGHT, MAX_BYTES, HttpAuthorizer
from portward.model.channel import Channel
from portward.model.identity import Identity
from portward.node.sessions import start_eager

ROOM = Channel.parse("rooms:a")
ANN = Identity(subject="ann", roles=frozenset({"b", "a"}), workspace="w1")
Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


YES = response(b'{"allow": true}')
NO = response(b'{"allow": false}')


class Application:
    """A real HTTP server that answers as it is told and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = YES
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.open = 0
        self.most = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it is asked."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/allow"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(length))
            if isinstance(self.answer, bytes):
                writer.write(self.answer)
            else:
                await self.answer(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def application() -> AsyncIterator[Application]:
    """An application that says yes."""
    application = Application()
    await application.start()
    yield application
    await application.stop()


@pytest.fixture
async def question() -> AsyncIterator[HttpAuthorizer]:
    """Someone who asks, and waits for a tenth of a second where nobody answers."""
    question = HttpAuthorizer(timeout=0.1)
    yield question
    await question.aclose()


async def ask(question: HttpAuthorizer, url: str) -> bool:
    """One question."""
    return await question.ask(url, ANN, ROOM, "subscribe")


async def test_yes(application: Application, question: HttpAuthorizer) -> None:
    """A yes is a yes; the question carries who, where and what, and no credential."""
    assert await ask(question, application.url) is True
    [body], [head] = application.bodies, application.heads
    assert json.loads(body) == {
        "user": "ann",
        "channel": "rooms:a",
        "action": "subscribe",
        "roles": ["a", "b"],
        "workspace": "w1",
    }
    assert head.startswith("POST /allow HTTP/1.1\r\n")
    assert "content-type: application/json" in head.lower()
    assert "authorization" not in head.lower()
    assert "cookie" not in head.lower()


ANSWERS = {
    "no": NO,
    "nothing said": response(b"{}"),
    "a word": response(b'{"allow": "true"}'),
    "a number": response(b'{"allow": 1}'),
    "null": response(b'{"allow": null}'),
    "a bare yes": response(b"true"),
    "a list": response(b'[{"allow": true}]'),
    "no JSON": response(b"yes"),
    "HTML": response(b"<html>allow</html>", "200 OK", "Content-Type: text/html"),
    "an empty body": response(b""),
    "201": response(b'{"allow": true}', "201 Created"),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "401": response(b'{"allow": true}', "401 Unauthorized"),
    "403": response(b'{"allow": true}', "403 Forbidden"),
    "500": response(b'{"allow": true}', "500 Internal Server Error"),
    "a long body": response(b'{"allow": true}' + b" " * MAX_BYTES),
    "a compressed body": response(
        gzip.compress(b'{"allow": true}'), "200 OK", "Content-Encoding: gzip"
    ),
    "no HTTP": b"hello\r\n\r\n",
    "half an answer": b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"allow": true}',
    "nothing": b"",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_no(application: Application, question: HttpAuthorizer, answer: bytes) -> None:
    """Whatever is not a clear yes is a no."""
    application.answer = answer
    assert await ask(question, application.url) is False
    assert len(application.bodies) == 1


async def test_longest_body(application: Application, question: HttpAuthorizer) -> None:
    """A yes may be as long as the bound."""
    application.answer = response(b'{"allow": true}'.ljust(MAX_BYTES))
    assert await ask(question, application.url) is True


async def test_redirect(application: Application, question: HttpAuthorizer) -> None:
    """A redirect is a no, and is not followed."""
    elsewhere = Application()
    await elsewhere.start()
    application.answer = response(b"", "307 Temporary Redirect", f"Location: {elsewhere.url}")
    assert await ask(question, application.url) is False
    assert elsewhere.bodies == []
    await elsewhere.stop()


async def test_hanging(application: Application, question: HttpAuthorizer) -> None:
    """An application that does not answer in time has said no, and the next is asked all the same."""
    released = asyncio.Event()

    async def hang(_: asyncio.StreamWriter) -> None:
        await released.wait()

    application.answer = hang
    assert await ask(question, application.url) is False
    released.set()
    application.answer = YES
    assert await ask(question, application.url) is True


async def test_dribbling(application: Application, question: HttpAuthorizer) -> None:
    """An answer that comes a little at a time is not waited for beyond the whole time."""
    ended = asyncio.Event()

    async def dribble(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not ended.is_set():
            writer.write(b" ")
            await asyncio.sleep(0)

    application.answer = dribble
    assert await ask(question, application.url) is False
    ended.set()


async def test_endless(application: Application, question: HttpAuthorizer) -> None:
    """A body without end is read no further than the bound."""
    sent = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while sent < 1_000_000:
            writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
            sent += 1024
            await writer.drain()

    patient = HttpAuthorizer(timeout=60)
    application.answer = pour
    assert await ask(patient, application.url) is False
    await patient.aclose()


@pytest.mark.parametrize(
    "url", ["", "http://", "nonsense", "ftp://example.com/", "http://[::1", "http://127.0.0.1:1/x"]
)
async def test_unusable_address(question: HttpAuthorizer, url: str) -> None:
    """Where there is nobody to ask the answer is no."""
    assert await ask(question, url) is False


async def test_proxy_of_the_environment_is_not_used(
    application: Application, question: HttpAuthorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question goes to the application, whatever the environment says about proxies."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert await ask(question, application.url) is True


async def test_so_many_at_a_time(application: Application) -> None:
    """Of very many questions only so many are out at once, and all are answered."""

    async def think(writer: asyncio.StreamWriter) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        writer.write(YES)

    application.answer = think
    patient = HttpAuthorizer(timeout=60)
    answers = await asyncio.gather(*[ask(patient, application.url) for _ in range(IN_FLIGHT * 2)])
    assert answers == [True] * (IN_FLIGHT * 2)
    assert application.most <= IN_FLIGHT
    await patient.aclose()


async def test_asked_without_a_task(application: Application, question: HttpAuthorizer) -> None:
    """A handler that was begun without a Task can ask."""
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    start_eager(ask(question, application.url), lambda result, _: done.set_result(result))
    assert await done is True


async def test_closing_without_having_asked() -> None:
    """Who never asked has nothing to close."""
    await HttpAuthorizer().aclose()


async def test_defaults() -> None:
    """Two seconds are waited, by the whole and by the parts."""
    question = HttpAuthorizer()
    await ask(question, "http://127.0.0.1:1/")
    assert question._timeout == 2.0
    assert question._client is not None
    assert question._client.timeout == httpx.Timeout(2.0)
    await question.aclose()
