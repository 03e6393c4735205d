"""Puts questions to the identity provider over HTTP: so many at a time, for so long, and not in vain."""

import asyncio
import logging
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from portward.identity.breaker import Breaker, Permit
from portward.identity.provider_responses import ProviderAnswer, ProviderQuestion
from portward.model.clock import Clock
from portward.model.provider import ProviderResult

IN_FLIGHT: Final = 50
MAX_BYTES: Final = 64 * 1024
_NO_STATUS: Final = 0
_IDLE: Final = 2.0
"""Seconds a connection is kept: less than the 5 after which Node.js hangs up, perhaps on a question."""
_HEADERS: Final = {
    "accept": "application/json",
    # What is not compressed cannot blow up while it is counted.
    "accept-encoding": "identity",
    "user-agent": "portward",
}
_FAILURES: Final = frozenset(
    {ProviderResult.ERROR, ProviderResult.TIMEOUT, ProviderResult.MALFORMED}
)


class ProviderClient:
    """Asks one provider, at most `IN_FLIGHT` questions at a time and `timeout` seconds for each.

    `observe` is given every outcome and its seconds, `changed` whether questions are asked at all:
    False when there were too many failures in a row, True once one was answered again.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        clock: Clock,
        observe: Callable[[ProviderResult, float], None],
        changed: Callable[[bool], None],
    ) -> None:
        self._url = _base(url)
        self._timeout = timeout
        self._clock = clock
        self._observe = observe
        self._changed = changed
        self._breaker = Breaker()
        self._places = asyncio.Semaphore(IN_FLIGHT)
        self._client: httpx.AsyncClient | None = None
        logging.getLogger("httpcore.http11").addFilter(_no_headers)

    def refusal(self) -> ProviderAnswer | None:
        """The answer while the circuit is open, at once; None when a question can be tried."""
        if not self._breaker.refuses(self._clock.monotonic()):
            return None
        self._observe(ProviderResult.ERROR, 0.0)
        return ProviderAnswer(ProviderResult.ERROR)

    async def ask(
        self, cookies: bytes, question: ProviderQuestion, *, known: bool = True
    ) -> ProviderAnswer:
        """Put a question. Runs in a Task; whatever the provider does becomes an answer.

        The time a question waits for its turn is part of the time it has. `known` is whether the
        provider has confirmed these cookies before: what it answers to a stranger's, which may be
        made up to upset it, is not held against it. That it is silent or away always is.
        """
        begun = self._clock.monotonic()
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._places.acquire()
        except TimeoutError:
            answer = ProviderAnswer(ProviderResult.TIMEOUT)
        else:
            try:
                answer = await self._call(cookies, question, deadline, known=known)
            finally:
                self._places.release()
        self._observe(answer.result, self._clock.monotonic() - begun)
        return answer

    async def _call(
        self, cookies: bytes, question: ProviderQuestion, deadline: float, *, known: bool
    ) -> ProviderAnswer:
        """One call, if the circuit lets it pass. What it says of the provider is noted."""
        permit = self._breaker.enter(self._clock.monotonic())
        if permit is None:
            return ProviderAnswer(ProviderResult.ERROR)
        failure: bool | None = None
        try:
            status, answer = await self._try(cookies, question, deadline)
            if answer.result not in _FAILURES:
                failure = False
            elif status == _NO_STATUS or (known and status not in question.blameless):
                failure = True
        finally:
            self._note(permit, failure)
        return answer

    def _note(self, permit: Permit, failure: bool | None) -> None:
        before = self._breaker.closed
        if failure is None:
            self._breaker.withdrawn(permit)
        elif failure:
            self._breaker.failed(permit, self._clock.monotonic())
        else:
            self._breaker.succeeded()
        if self._breaker.closed is not before:
            self._changed(not before)

    async def _try(
        self, cookies: bytes, question: ProviderQuestion, deadline: float
    ) -> tuple[int, ProviderAnswer]:
        """The status and what the answer means. No error tells what was sent."""
        try:
            async with asyncio.timeout_at(deadline):
                status, body = await self._get(cookies, question.path)
        except TimeoutError:
            return _NO_STATUS, ProviderAnswer(ProviderResult.TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            return _NO_STATUS, ProviderAnswer(ProviderResult.ERROR)
        return status, question.read(status, body)

    async def _get(self, cookies: bytes, path: str) -> tuple[int, bytes | None]:
        if self._client is None:
            self._client = _make_client()
        headers = [(b"cookie", cookies)]
        async with self._client.stream("GET", self._url + path, headers=headers) as response:
            return response.status_code, await _body(response)

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def _body(response: httpx.Response) -> bytes | None:
    """The body; None when it is compressed or too long, and then it is read no further."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            return None
    return bytes(body)


def _make_client() -> httpx.AsyncClient:
    """A client that asks nobody but the provider, and sends and keeps no cookie of its own accord.

    The deadline is the caller's, and so is the number of connections.
    """
    return httpx.AsyncClient(
        headers=_HEADERS,
        # What the provider sets for one user must not go out with the question of another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - the deadline is for the whole answer, and set around it
        limits=httpx.Limits(max_keepalive_connections=IN_FLIGHT, keepalive_expiry=_IDLE),
    )


def _base(url: str) -> str:
    """The address without the slash at its end.

    Raises:
        ValueError: it is none that questions can be put to; the text does not repeat it.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError("the identity provider's address is not a URL") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError("the identity provider's address must begin with http:// or https://")
    if parsed.userinfo or parsed.query or "?" in url or "#" in url:
        raise ValueError("the identity provider's address has no user, query or fragment")
    return url.rstrip("/")


def _no_headers(record: logging.LogRecord) -> bool:
    """Keep headers out of the debug log of httpcore: those of an answer may set cookies."""
    return "_headers" not in record.getMessage()
