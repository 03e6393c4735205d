import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from portward.identity.jwks import JwksSource, KeysUnavailable
from portward.node.sessions import start_eager
from portward.security.jwk import DroppedKey
from portward.security.keys import SigningKey
from portward.security.tokens import TokenReason, TokenRefused, UnknownKey
from portward.testing.clock import FakeClock
from tests.security.make_tokens import ec_key, ed_key, jwk, rsa_key

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ISSUER = "https://idp.example"
MEBIBYTE = 1024 * 1024


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def key_set(**keys: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """A JWK set with these keys under these ids."""
    return json.dumps({"keys": [jwk(key, kid=kid) for kid, key in keys.items()]}).encode()


SOUND = response(key_set(a=ec_key()))


class Provider:
    """A real HTTP server that answers as it is told and writes down what it was asked."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.answer: bytes | Answer = SOUND
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        """Where the key set lies."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/keys"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            self.asked.set()
            if isinstance(self.answer, bytes):
                writer.write(self.answer)
                await writer.drain()
            else:
                await self.answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    """An identity provider on a free port."""
    provider = Provider()
    await provider.open()
    yield provider
    await provider.close()


@pytest.fixture
def clock() -> FakeClock:
    """Time that leaps."""
    return FakeClock()


@pytest_asyncio.fixture
async def source(provider: Provider, clock: FakeClock) -> AsyncIterator[JwksSource]:
    """A source that was not started yet."""
    source = JwksSource(provider.url, clock, issuer=ISSUER)
    yield source
    await source.aclose()


async def settle(source: JwksSource) -> None:
    """Wait for the fetch under way."""
    if source._fetching is not None:
        await asyncio.wait((source._fetching,))


async def started(source: JwksSource) -> None:
    """Start, and wait for the first fetch."""
    source.start()
    await settle(source)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the caller goes away."""
    await reader.read()


async def test_key_is_fetched_when_it_is_asked_for(source: JwksSource, provider: Provider) -> None:
    """Without a start the first question fetches."""
    assert source.problem == "not fetched yet"
    assert source.keys.keys == ()
    key = await source.key_for(ISSUER, "a")
    assert key.algorithms == {"ES256"}
    assert source.reachable
    assert source.keys.remote
    assert source.keys.issuer == ISSUER
    assert len(provider.requests) == 1


async def test_any_key_answers_an_empty_id(source: JwksSource) -> None:
    """A token that names no key can be judged once there are keys."""
    assert (await source.key_for(ISSUER, "")).kid == "a"


async def test_start_fetches_and_known_keys_cost_nothing(
    source: JwksSource, provider: Provider
) -> None:
    """One fetch serves every question about the keys it brought."""
    await started(source)
    for _ in range(10):
        await source.key_for(ISSUER, "a")
    assert len(provider.requests) == 1


async def test_request_is_plain_and_carries_nothing(source: JwksSource, provider: Provider) -> None:
    """The configured path, no compression, no credentials."""
    await started(source)
    request = provider.requests[0].lower()
    assert request.startswith(b"get /keys http/1.1\r\n")
    assert b"accept-encoding: identity" in request
    assert b"authorization" not in request
    assert b"cookie" not in request


@pytest.mark.p0
async def test_other_issuer_is_never_looked_up(source: JwksSource, provider: Provider) -> None:
    """Keys are kept by issuer and id: the id of one is nothing to another."""
    await started(source)
    with pytest.raises(TokenRefused) as caught:
        await source.key_for("https://other.example", "a")
    assert caught.value.reason is TokenReason.ISSUER
    assert len(provider.requests) == 1


async def test_set_is_refreshed_in_the_background(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """New keys arrive and old ones go without anyone asking."""
    await started(source)
    provider.answer = response(key_set(b=ed_key()))
    clock.advance(599)
    assert source._fetching is None
    clock.advance(1)
    await settle(source)
    assert source.keys.find("b") is not None
    assert source.keys.find("a") is None
    clock.advance(600)
    await settle(source)
    assert len(provider.requests) == 3


async def test_failed_refresh_is_tried_again_soon(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """After a failure the next try comes in half a minute, and keys stay."""
    await started(source)
    provider.answer = response(b"", "500 Internal Server Error")
    clock.advance(600)
    await settle(source)
    assert not source.reachable
    assert source.problem == "status 500"
    assert source.keys.find("a") is not None
    provider.answer = SOUND
    clock.advance(30)
    await settle(source)
    assert source.reachable


@pytest.mark.p0
async def test_unknown_id_is_refused_when_the_set_is_fresh(
    source: JwksSource, provider: Provider
) -> None:
    """After looking again the token is simply wrong."""
    await started(source)
    with pytest.raises(UnknownKey) as caught:
        await source.key_for(ISSUER, "z")
    assert caught.value.kid == "z"
    assert len(provider.requests) == 2


@pytest.mark.p0
async def test_new_key_is_found_by_looking_again(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """A rotation at the provider is noticed with the first token of the new key."""
    await started(source)
    provider.answer = response(key_set(a=ec_key(), b=ed_key()))
    assert (await source.key_for(ISSUER, "b")).algorithms == {"EdDSA", "Ed25519"}


@pytest.mark.p0
async def test_thousand_unknown_ids_force_one_fetch(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """At once or one after the other, within half a minute the provider is asked once more."""
    await started(source)

    async def ask(kid: str) -> None:
        with pytest.raises(UnknownKey):
            await source.key_for(ISSUER, kid)

    await asyncio.gather(*(ask(f"k{index}") for index in range(500)))
    for index in range(500):
        await ask(f"l{index}")
    assert len(provider.requests) == 2
    clock.advance(29)
    await ask("m")
    assert len(provider.requests) == 2
    clock.advance(1)
    await ask("m")
    assert len(provider.requests) == 3


@pytest.mark.p0
async def test_unknown_id_is_unavailable_when_nobody_answers(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """A stale set and a provider that is away are no reason to call a token wrong."""
    await started(source)
    await provider.close()
    for _ in range(3):
        with pytest.raises(KeysUnavailable) as caught:
            await source.key_for(ISSUER, "z")
        assert caught.value.retry_after == 30.0
    assert source.problem == "ConnectError"
    assert (await source.key_for(ISSUER, "a")).kid == "a"
    await provider.open()


@pytest.mark.p0
async def test_known_keys_outlive_an_outage_of_a_day(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """What was fetched is believed for 24 hours, and not a second longer."""
    await started(source)
    provider.answer = response(b"", "503 Service Unavailable")
    clock.advance(24 * 3600 - 1)
    await settle(source)
    assert (await source.key_for(ISSUER, "a")).kid == "a"
    clock.advance(1)
    await settle(source)
    assert source.keys.keys == ()
    with pytest.raises(KeysUnavailable):
        await source.key_for(ISSUER, "a")


async def gzip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send what was not asked for: a compressed body."""
    writer.write(response(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"))
    await writer.drain()


async def flood(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, size: int = 10 * MEBIBYTE
) -> None:
    """Send much more than a key set, without saying how much."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(size // 65536):
        writer.write(b" " * 65536)
        await writer.drain()


async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise more than is sent."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()


@pytest.mark.p0
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (response(b"", "500 Internal Server Error"), "status 500"),
        (response(b"", "302 Found", "Location: http://169.254.169.254/"), "status 302"),
        (response(SOUND, "301 Moved", "Location: /other"), "status 301"),
        (response(b"", "204 No Content"), "status 204"),
        (response(b"<!doctype html><title>Log in</title>"), "not a key set"),
        (response(b"{}"), "not a key set"),
        (response(b'{"keys": []}'), "no usable key"),
        (response(b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'), "no usable key"),
        (response(b" " * (MEBIBYTE + 1)), "too large"),
        (flood, "too large"),
        (gzip, "compressed"),
        (cut, "RemoteProtocolError"),
        (b"no http\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_bad_answer_changes_nothing(
    source: JwksSource, provider: Provider, answer: bytes | Answer, problem: str
) -> None:
    """Errors, redirects, pages, floods and empty sets leave the keys as they were."""
    await started(source)
    provider.answer = answer
    with pytest.raises(KeysUnavailable):
        await source.key_for(ISSUER, "z")
    assert source.problem == problem
    assert not source.reachable
    assert [key.kid for key in source.keys.keys] == ["a"]
    assert len(provider.requests) == 2


async def test_set_of_one_mebibyte_is_read(source: JwksSource, provider: Provider) -> None:
    """The limit itself is within the limit."""
    body = key_set(a=ec_key())
    provider.answer = response(body + b" " * (MEBIBYTE - len(body)))
    await started(source)
    assert source.reachable


@pytest.mark.p0
async def test_silent_provider_is_given_up_after_three_seconds(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """All who wait are told so at once, and the wait is bounded."""
    provider.answer = hang
    waiting = [asyncio.create_task(source.key_for(ISSUER, "a")) for _ in range(5)]
    await provider.asked.wait()
    clock.advance(2.9)
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    clock.advance(0.1)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [KeysUnavailable] * 5
    assert source.problem == "timeout"
    assert len(provider.requests) == 1


@pytest.mark.p0
async def test_slow_drip_is_given_up_after_three_seconds(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """Bytes that keep coming do not stretch the time."""
    ticks: asyncio.Queue[None] = asyncio.Queue()
    gone = asyncio.Event()
    dripped = 0

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dripped
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                dripped += 1
                await ticks.get()
        finally:
            gone.set()

    provider.answer = drip
    waiting = asyncio.create_task(source.key_for(ISSUER, "a"))
    await provider.asked.wait()
    for _ in range(29):
        clock.advance(0.1)
        ticks.put_nowait(None)
        await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(0.2)
    with pytest.raises(KeysUnavailable):
        await waiting
    assert dripped > 1
    while not gone.is_set():
        ticks.put_nowait(None)
        await asyncio.sleep(0)


@pytest.mark.p0
async def test_waiter_that_goes_away_does_not_end_the_fetch(
    source: JwksSource, provider: Provider
) -> None:
    """One client's impatience is not the others' failure."""
    release = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(SOUND)
        await writer.drain()

    provider.answer = late
    impatient, patient = (asyncio.create_task(source.key_for(ISSUER, "a")) for _ in range(2))
    await provider.asked.wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    release.set()
    assert (await patient).kid == "a"
    assert len(provider.requests) == 1


async def test_question_needs_no_task_of_its_own(source: JwksSource) -> None:
    """A handler that is not run by a Task until it first waits may ask, too."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[SigningKey | None] = loop.create_future()

    def done(key: SigningKey | None, error: BaseException | None) -> None:
        assert error is None
        answered.set_result(key)

    tasks = []

    def step() -> None:
        assert asyncio.current_task() is None
        tasks.append(start_eager(source.key_for(ISSUER, "a"), done))

    loop.call_soon(step)
    key = await answered
    assert key is not None
    assert key.kid == "a"


@pytest.mark.p0
async def test_proxies_of_the_environment_are_not_asked(
    source: JwksSource, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the configured address is ever spoken to."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    await started(source)
    assert source.reachable


async def test_surprising_failure_is_a_failure_like_any_other(clock: FakeClock) -> None:
    """Whatever goes wrong in the client, those who wait are answered."""

    def broken(request: httpx.Request) -> httpx.Response:
        raise RuntimeError("canary")

    factory = partial(httpx.AsyncClient, transport=httpx.MockTransport(broken))
    source = JwksSource("https://idp.example/keys", clock, issuer=ISSUER, client=factory)
    with pytest.raises(KeysUnavailable):
        await source.key_for(ISSUER, "a")
    assert source.problem == "RuntimeError"
    await source.aclose()


async def test_closing_ends_the_fetch_and_every_timer(
    source: JwksSource, provider: Provider, clock: FakeClock
) -> None:
    """Nothing is left behind, and those who waited are answered."""
    provider.answer = hang
    waiting = asyncio.create_task(source.key_for(ISSUER, "a"))
    await provider.asked.wait()
    await source.aclose()
    with pytest.raises(KeysUnavailable):
        await waiting
    assert clock.pending == 0
    with pytest.raises(KeysUnavailable):
        await source.key_for(ISSUER, "a")
    assert len(provider.requests) == 1
    await source.aclose()


async def test_closing_right_after_the_start_is_clean(source: JwksSource, clock: FakeClock) -> None:
    """A fetch that never began to run is ended too."""
    source.start()
    await source.aclose()
    assert source._fetching is None
    assert clock.pending == 0


async def test_failure_says_nothing_of_the_address(source: JwksSource, provider: Provider) -> None:
    """What is kept of a failure is a few fixed words."""
    provider.answer = response(b"canary", "500 canary", "X: canary")
    with pytest.raises(KeysUnavailable) as caught:
        await source.key_for(ISSUER, "a")
    assert "canary" not in f"{caught.value!r} {source.problem}"


async def test_keys_of_every_kind_are_read(source: JwksSource, provider: Provider) -> None:
    """A mixed set serves each kind under its own id."""
    entries = [jwk(rsa_key(), kid="r"), jwk(ec_key(), kid="e"), jwk(ed_key(), kid="d")]
    provider.answer = response(json.dumps({"keys": entries}).encode())
    await started(source)
    assert [key.kid for key in source.keys.keys] == ["r", "e", "d"]


async def test_what_a_set_drops_is_told_once(provider: Provider, clock: FakeClock) -> None:
    """Each entry that is not used is told when it first appears, and again only after it was away."""
    told: list[DroppedKey] = []
    source = JwksSource(provider.url, clock, issuer=ISSUER, dropped=told.append)
    entries = [jwk(ec_key(), kid="a"), jwk(ec_key(), kid="e", use="enc")]
    with_one = response(json.dumps({"keys": entries}).encode())
    with_two = response(json.dumps({"keys": [*entries, jwk(rsa_key(1024), kid="r")]}).encode())
    for answer in (with_one, with_one, with_two, with_two, SOUND, with_one):
        provider.answer = answer
        source.start()
        await settle(source)
    small = DroppedKey("r", "size or kind of key is not supported")
    encrypts = DroppedKey("e", "use is not sig")
    assert told == [encrypts, small, encrypts]
    await source.aclose()
