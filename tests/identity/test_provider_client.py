import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator

import pytest

from portward.identity.breaker import FAILURES
from portward.identity.provider_client import IN_FLIGHT, MAX_BYTES, ProviderClient
from portward.identity.provider_responses import topic_question, user_question
from portward.model.provider import ProviderResult
from portward.testing.clock import FakeClock
from tests.identity.standin_server import USER, Answer, Standin, data, hang, response

ME = user_question()
OK, ERROR = ProviderResult.OK, ProviderResult.ERROR
MALFORMED, TIMEOUT = ProviderResult.MALFORMED, ProviderResult.TIMEOUT
UNAUTHORIZED = ProviderResult.UNAUTHORIZED
DOCUMENT = json.dumps({"data": USER}).encode()


class Notes:
    """What an asker told."""

    def __init__(self) -> None:
        self.results: list[ProviderResult] = []
        self.seconds: list[float] = []
        self.changes: list[bool] = []

    def observe(self, result: ProviderResult, seconds: float) -> None:
        """Note an outcome."""
        self.results.append(result)
        self.seconds.append(seconds)


@pytest.fixture
async def standin() -> AsyncIterator[Standin]:
    """A provider that knows one user."""
    standin = Standin()
    await standin.start()
    yield standin
    await standin.stop()


@pytest.fixture
def clock() -> FakeClock:
    """Time that leaps."""
    return FakeClock()


@pytest.fixture
def notes() -> Notes:
    """Nothing was told yet."""
    return Notes()


@pytest.fixture
async def asker(standin: Standin, clock: FakeClock, notes: Notes) -> AsyncIterator[ProviderClient]:
    """Someone who has all the time in the world."""
    asker = ProviderClient(standin.url, 30.0, clock, notes.observe, notes.changes.append)
    yield asker
    await asker.aclose()


@pytest.fixture
async def hasty(standin: Standin, clock: FakeClock, notes: Notes) -> AsyncIterator[ProviderClient]:
    """Someone who waits for a twentieth of a second."""
    asker = ProviderClient(standin.url, 0.05, clock, notes.observe, notes.changes.append)
    yield asker
    await asker.aclose()


async def ask(asker: ProviderClient, cookies: bytes = b"sid=1") -> ProviderResult:
    """The outcome of the question who it is."""
    return (await asker.ask(cookies, ME)).result


async def test_question(asker: ProviderClient, standin: Standin, notes: Notes) -> None:
    """It is a GET with the cookies and nothing else of the user's, for an answer as it is."""
    answer = await asker.ask(b"sid=caf\xe9; b=2", ME)
    assert answer.user is not None
    assert answer.user.subject == "u-1"
    [head] = standin.heads
    lines = head.rstrip().split("\r\n")
    assert lines[0] == "GET /users/me?fields=id,email,role,first_name,last_name HTTP/1.1"
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers == {
        "host": standin.url.removeprefix("http://"),
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "user-agent": "portward",
        "cookie": "sid=caf\xe9; b=2",
    }
    assert (notes.results, notes.seconds) == ([OK], [0.0])


async def cut(writer: asyncio.StreamWriter) -> None:
    """Begin an answer and hang up in the middle of its body."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + DOCUMENT)


async def chunked(writer: asyncio.StreamWriter) -> None:
    """Send the document in two pieces."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (DOCUMENT[:10], DOCUMENT[10:], b""):
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


async def pour(writer: asyncio.StreamWriter) -> None:
    """Send a body of ten mebibytes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n" + DOCUMENT)
    for _ in range(160):
        writer.write(b" " * 65536)
        await writer.drain()


ROWS: dict[str, tuple[Answer, ProviderResult]] = {
    "a user": (data(USER), OK),
    "a user in chunks": (chunked, OK),
    "the longest answer": (response(DOCUMENT.ljust(MAX_BYTES)), OK),
    "called identity": (response(DOCUMENT, "200 OK", "Content-Encoding: identity"), OK),
    "called text": (response(DOCUMENT, "200 OK", "Content-Type: text/html"), OK),
    "401": (response(b"{}", "401 Unauthorized"), UNAUTHORIZED),
    "401 with a user": (response(DOCUMENT, "401 Unauthorized"), UNAUTHORIZED),
    "401, compressed": (response(b"x", "401 No", "Content-Encoding: br"), UNAUTHORIZED),
    "401, endless": (response(b" " * 100_000, "401 Unauthorized"), UNAUTHORIZED),
    "403": (response(b"", "403 Forbidden"), UNAUTHORIZED),
    "null": (data(None), UNAUTHORIZED),
    "no data": (response(b'{"id": "u-1"}'), MALFORMED),
    "HTML": (response(b"<html>u-1</html>", "200 OK", "Content-Type: text/html"), MALFORMED),
    "a number": (response(b"42"), MALFORMED),
    "wrong types": (data({"id": 7}), MALFORMED),
    "an empty body": (response(b""), MALFORMED),
    "a long body": (response(DOCUMENT.ljust(MAX_BYTES + 1)), MALFORMED),
    "a very long body": (pour, MALFORMED),
    "compressed": (
        response(gzip.compress(DOCUMENT), "200 OK", "Content-Encoding: gzip"),
        MALFORMED,
    ),
    "compressed, it says": (response(DOCUMENT, "200 OK", "Content-Encoding: x"), MALFORMED),
    "201": (response(DOCUMENT, "201 Created"), ERROR),
    "204": (response(b"", "204 No Content"), ERROR),
    "301 to nowhere": (response(b"", "301 Moved", "Location: http://[::1"), ERROR),
    "304": (response(b"", "304 Not Modified"), ERROR),
    "400": (response(DOCUMENT, "400 Bad Request"), ERROR),
    "404": (response(DOCUMENT, "404 Not Found"), ERROR),
    "429": (response(DOCUMENT, "429 Too Many Requests"), ERROR),
    "500": (response(DOCUMENT, "500 Internal Server Error"), ERROR),
    "503": (response(DOCUMENT, "503 Service Unavailable"), ERROR),
    "cut short": (cut, ERROR),
    "nothing": (b"", ERROR),
    "no HTTP": (b"hello\r\n\r\n", ERROR),
    "a bad status": (b"HTTP/1.1 OK 200\r\n\r\n", ERROR),
    "an endless head": (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000, ERROR),
}


@pytest.mark.p1
@pytest.mark.parametrize(("answer", "result"), ROWS.values(), ids=ROWS)
async def test_outcomes(
    asker: ProviderClient, standin: Standin, notes: Notes, answer: Answer, result: ProviderResult
) -> None:
    """Each answer has its outcome, which is counted once."""
    standin.answer = answer
    assert await ask(asker) is result
    assert notes.results == [result]
    assert len(standin.heads) == 1


@pytest.mark.p1
async def test_redirect_is_not_followed(asker: ProviderClient, standin: Standin) -> None:
    """The cookie goes nowhere else, and a redirect settles nothing."""
    elsewhere = Standin()
    await elsewhere.start()
    for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
        standin.answer = response(b"", status, f"Location: {elsewhere.url}/users/me")
        assert await ask(asker) is ERROR
    assert elsewhere.heads == []
    assert elsewhere.connections == 0
    await elsewhere.stop()


async def test_nobody_there(clock: FakeClock, notes: Notes) -> None:
    """A refused connection is an error."""
    asker = ProviderClient("http://127.0.0.1:1", 30.0, clock, notes.observe, notes.changes.append)
    assert await ask(asker) is ERROR
    assert notes.results == [ERROR]
    await asker.aclose()


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Send a body of which there is always a little more."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0)


async def trickle_head(writer: asyncio.StreamWriter) -> None:
    """Send a head of which there is always a little more."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.p1
@pytest.mark.parametrize("answer", [hang, trickle, trickle_head])
async def test_time_is_for_the_whole_answer(
    hasty: ProviderClient, standin: Standin, notes: Notes, answer: Answer
) -> None:
    """Silence and a trickle are both no answer in time, and the next question is asked afresh."""
    standin.answer = answer
    assert await ask(hasty) is TIMEOUT
    assert notes.results == [TIMEOUT]


async def test_asked_again_after_silence(asker: ProviderClient, standin: Standin) -> None:
    """A connection that was given up is not used again."""
    standin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b" " * 70_000
    assert await ask(asker) is MALFORMED
    standin.answer = data(USER)
    assert await ask(asker) is OK
    assert await ask(asker) is OK
    assert standin.connections == 2


@pytest.mark.p1
async def test_only_so_many_at_a_time(asker: ProviderClient, standin: Standin) -> None:
    """The provider never has more questions before it, and in the end has had them all."""
    standin.gate = asyncio.Event()
    questions = [
        asyncio.ensure_future(ask(asker, b"sid=%d" % number)) for number in range(4 * IN_FLIGHT)
    ]
    await standin.asked(IN_FLIGHT)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(standin.heads) == IN_FLIGHT
    standin.gate.set()
    assert await asyncio.gather(*questions) == [OK] * (4 * IN_FLIGHT)
    assert standin.most == IN_FLIGHT
    assert len(standin.heads) == 4 * IN_FLIGHT


async def test_waiting_for_a_place_takes_of_the_time(
    hasty: ProviderClient, standin: Standin, notes: Notes
) -> None:
    """Who found no place in time was not heard in time; the provider never hears of it."""
    for _ in range(IN_FLIGHT):
        await hasty._places.acquire()
    assert await ask(hasty) is TIMEOUT
    assert standin.heads == []
    for _ in range(FAILURES):
        await ask(hasty)
    assert notes.changes == []


async def test_given_up_call_leaves_its_place(asker: ProviderClient, standin: Standin) -> None:
    """Places are given back whatever becomes of a call."""
    standin.answer = hang
    calls = [asyncio.ensure_future(ask(asker)) for _ in range(2 * IN_FLIGHT)]
    await standin.asked(IN_FLIGHT)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    standin.answer = data(USER)
    assert await asyncio.gather(*[ask(asker) for _ in range(IN_FLIGHT)]) == [OK] * IN_FLIGHT


async def fail(asker: ProviderClient, times: int) -> None:
    """So many questions, one after the other."""
    for _ in range(times):
        await ask(asker)


BAD: list[Answer] = [
    response(b"", "500 Internal Server Error"),
    response(b"", "404 Not Found"),
    response(b"", "302 Found"),
    response(b"<html>"),
    b"",
]


@pytest.mark.parametrize("bad", BAD)
async def test_circuit_opens(
    asker: ProviderClient, standin: Standin, notes: Notes, clock: FakeClock, bad: Answer
) -> None:
    """After ten failures in a row nobody is asked for five seconds; then one question is."""
    standin.answer = bad
    await fail(asker, FAILURES - 1)
    assert asker.refusal() is None
    assert notes.changes == []
    await fail(asker, 1)
    assert notes.changes == [False]
    refusal = asker.refusal()
    assert refusal is not None
    assert refusal.result is ERROR
    assert notes.results[-1] is ERROR
    assert len(notes.results) == FAILURES + 1
    clock.advance(4.9)
    assert await ask(asker) is ERROR
    assert len(standin.heads) == FAILURES
    standin.answer = data(USER)
    clock.advance(0.1)
    assert asker.refusal() is None
    assert await ask(asker) is OK
    assert notes.changes == [False, True]


async def test_failed_probe(
    asker: ProviderClient, standin: Standin, notes: Notes, clock: FakeClock
) -> None:
    """While the provider stays away it is asked ever more seldom, and that is told once."""
    standin.answer = b""
    await fail(asker, FAILURES)
    clock.advance(5)
    await fail(asker, 5)
    assert len(standin.heads) == FAILURES + 1
    clock.advance(9.9)
    assert asker.refusal() is not None
    clock.advance(0.1)
    await fail(asker, 5)
    assert len(standin.heads) == FAILURES + 2
    assert notes.changes == [False]


async def test_silence_opens_the_circuit(
    hasty: ProviderClient, standin: Standin, notes: Notes
) -> None:
    """A provider that hangs is spared as well."""
    standin.answer = hang
    await asyncio.gather(*[ask(hasty) for _ in range(FAILURES)])
    assert notes.changes == [False]


async def test_who_waits_does_not_ask_once_the_circuit_is_open(
    asker: ProviderClient, standin: Standin
) -> None:
    """Those who stood in line are sent away instead of being tried one by one."""
    standin.gate = asyncio.Event()
    standin.answer = response(b"", "503 Service Unavailable")
    calls = [asyncio.ensure_future(ask(asker)) for _ in range(4 * IN_FLIGHT)]
    await standin.asked(IN_FLIGHT)
    standin.gate.set()
    assert set(await asyncio.gather(*calls)) == {ERROR}
    assert len(standin.heads) < 2 * IN_FLIGHT


@pytest.mark.parametrize(
    "definite", [data(USER), data(None), response(b"", "401 No"), response(b"", "403 No")]
)
async def test_definite_answers_break_the_row(
    asker: ProviderClient, standin: Standin, notes: Notes, definite: Answer
) -> None:
    """A provider that answers is there."""
    for answer in [b"", definite, b""]:
        standin.answer = answer
        await fail(asker, FAILURES - 1)
    assert notes.changes == []


async def test_missing_things_break_the_row(
    asker: ProviderClient, standin: Standin, notes: Notes
) -> None:
    """Nor is a topic that does not exist a failure."""
    standin.answer = response(b"", "404 Not Found")
    for _ in range(2 * FAILURES):
        answer = await asker.ask(b"sid=1", topic_question("/items/1"))
        assert answer.result is UNAUTHORIZED
    assert notes.changes == []


@pytest.mark.p1
@pytest.mark.parametrize(
    ("path", "status"),
    [("", 400), ("", 413), ("", 431), ("/items/1", 400), ("/items/1", 500)],
)
async def test_nobody_opens_the_circuit_for_others(
    asker: ProviderClient, standin: Standin, notes: Notes, path: str, status: int
) -> None:
    """A failure that a client's cookie or topic can cause is an error for that client alone."""
    standin.answer = response(b"", f"{status} Trouble")
    question = topic_question(path) if path else ME
    for _ in range(2 * FAILURES):
        assert (await asker.ask(b"sid=1", question)).result is ERROR
    assert notes.changes == []


@pytest.mark.p1
@pytest.mark.parametrize(
    "body", [b"{}", b"<html>", b'{"data": {"x": "' + b"x" * MAX_BYTES + b'"}}']
)
async def test_no_topic_opens_the_circuit_for_others(
    asker: ProviderClient, standin: Standin, notes: Notes, body: bytes
) -> None:
    """What lies at one topic may be no answer, and is trouble for who asks for it alone."""
    standin.answer = response(body)
    for _ in range(2 * FAILURES):
        answer = await asker.ask(b"sid=1", topic_question("/items/1"))
        assert answer.result is MALFORMED
    assert notes.changes == []


async def test_topic_that_is_answered_breaks_the_row(
    asker: ProviderClient, standin: Standin, notes: Notes, clock: FakeClock
) -> None:
    """A yes about a topic is an answer of the provider like any other, and ends a pause."""
    standin.answer = b""
    await fail(asker, FAILURES)
    clock.advance(5)
    standin.answer = data({"id": 1})
    assert (await asker.ask(b"sid=1", topic_question("/items/1"))).result is OK
    assert notes.changes == [False, True]


STATUSES = ["302 Found", "404 Not Found", "429 Slow Down", "500 Trouble", "503 Away"]


@pytest.mark.p1
@pytest.mark.parametrize(
    "bad",
    [*(response(b"", status) for status in STATUSES), response(b"<html>"), data({"id": 1})],
)
async def test_no_stranger_opens_the_circuit(
    asker: ProviderClient, standin: Standin, notes: Notes, bad: Answer
) -> None:
    """What comes of cookies that were never confirmed may be their own doing."""
    standin.answer = bad
    for _ in range(2 * FAILURES):
        await asker.ask(b"sid=1", ME, known=False)
    assert notes.changes == []
    await fail(asker, FAILURES)
    assert notes.changes == [False]


async def test_stranger_as_a_probe(
    asker: ProviderClient, standin: Standin, notes: Notes, clock: FakeClock
) -> None:
    """Their failure settles nothing: the next one asks in their place. Their success does."""
    standin.answer = response(b"", "503 Away")
    await fail(asker, FAILURES)
    clock.advance(5)
    await asker.ask(b"sid=2", ME, known=False)
    assert asker.refusal() is None
    standin.answer = response(b"", "401 No")
    await asker.ask(b"sid=2", ME, known=False)
    assert notes.changes == [False, True]


@pytest.mark.parametrize("bad", [b"", cut, b"hello\r\n\r\n"])
async def test_strangers_notice_that_nobody_answers(
    asker: ProviderClient, standin: Standin, notes: Notes, bad: Answer
) -> None:
    """A provider that hangs up is away, whoever asks."""
    standin.answer = bad
    for _ in range(FAILURES):
        await asker.ask(b"sid=1", ME, known=False)
    assert notes.changes == [False]


async def test_strangers_notice_silence(
    hasty: ProviderClient, standin: Standin, notes: Notes
) -> None:
    """So is one that says nothing in time."""
    standin.answer = hang
    calls = [hasty.ask(b"sid=1", ME, known=False) for _ in range(FAILURES)]
    await asyncio.gather(*calls)
    assert notes.changes == [False]


async def test_cancelled_probe_gives_way(
    asker: ProviderClient, standin: Standin, clock: FakeClock
) -> None:
    """A probe that was given up does not keep the circuit open for good."""
    standin.answer = b""
    await fail(asker, FAILURES)
    clock.advance(5)
    standin.answer = hang
    probe = asyncio.ensure_future(ask(asker))
    await standin.asked(FAILURES + 1)
    assert asker.refusal() is not None
    probe.cancel()
    await asyncio.wait((probe,))
    standin.answer = data(USER)
    assert await ask(asker) is OK


@pytest.mark.p0
async def test_no_cookie_of_one_user_is_sent_for_another(
    asker: ProviderClient, standin: Standin
) -> None:
    """What the provider sets in an answer is forgotten with it."""
    standin.answer = data(USER, "Set-Cookie: sid=ann; Path=/", "Set-Cookie: other=1")
    await ask(asker, b"sid=ann")
    await ask(asker, b"sid=bob")
    assert standin.cookies() == ["sid=ann", "sid=bob"]
    assert asker._client is not None
    assert len(asker._client.cookies.jar) == 0


async def test_proxy_of_the_environment_is_not_used(
    asker: ProviderClient, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is asked itself, whatever the environment says about proxies."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert await ask(asker) is OK


@pytest.mark.parametrize(
    ("path", "asked"), [("", ""), ("/", ""), ("/cms", "/cms"), ("/cms/", "/cms")]
)
async def test_base_address(
    standin: Standin, clock: FakeClock, notes: Notes, path: str, asked: str
) -> None:
    """It may have a path, and a slash at its end."""
    asker = ProviderClient(standin.url + path, 30.0, clock, notes.observe, notes.changes.append)
    assert await ask(asker) is OK
    assert standin.paths == [asked + ME.path]
    await asker.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cms.example.com",
        "ftp://cms.example.com",
        "http://",
        "http://[::1",
        "https://cms.example.com/?x",
        "https://cms.example.com/#x",
        "https://ann:secret@cms.example.com",
    ],
)
def test_unusable_address(clock: FakeClock, notes: Notes, url: str) -> None:
    """An address that cannot be asked is refused at once, and not repeated."""
    with pytest.raises(ValueError, match="identity provider's address") as caught:
        ProviderClient(url, 5.0, clock, notes.observe, notes.changes.append)
    assert "secret" not in str(caught.value)


@pytest.mark.p0
async def test_logs_have_no_cookies(
    asker: ProviderClient, standin: Standin, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what is sent nor what is set shows in a log, even where libraries log everything."""
    caplog.set_level(logging.DEBUG)
    for answer in (data(USER, "Set-Cookie: sid=c4n4ry"), cut, b"c4n4ry\r\n\r\n"):
        standin.answer = answer
        await ask(asker, b"sid=c4n4ry")
    assert "GET" in caplog.text
    assert "c4n4ry" not in caplog.text


async def test_closing_without_having_asked(asker: ProviderClient) -> None:
    """Who never asked has nothing to close; closing twice does no harm."""
    await asker.aclose()
    await asker.aclose()
