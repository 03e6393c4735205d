"""The HTTP client for the identity provider, with a limit of calls, a timeout and a circuit breaker."""

import asyncio
import logging
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from portward.identity.breaker import Breaker, Permit
from portward.identity.http_body import HEADERS, BadAnswer, read_body
from portward.identity.provider_responses import ProviderAnswer, ProviderQuestion
from portward.model.clock import Clock
from portward.model.provider import ProviderResult

IN_FLIGHT: Final = 50
MAX_BYTES: Final = 64 * 1024
_NO_STATUS: Final = 0
_IDLE: Final = 2.0
"""Seconds an idle connection is kept: less than the 5 seconds after which Node.js closes it."""
_FAILURES: Final = frozenset(
    {ProviderResult.ERROR, ProviderResult.TIMEOUT, ProviderResult.MALFORMED}
)


class ProviderClient:
    """Sends questions to one provider, at most `IN_FLIGHT` at a time and `timeout` seconds for each.

    `observe` is called with every outcome and its seconds, `changed` with whether questions are sent at all:
    False after too many failures in a row, True once one was answered again.
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
        """Return the answer to give at once while the circuit is open; None when a question can be sent."""
        if not self._breaker.refuses(self._clock.monotonic()):
            return None
        self._observe(ProviderResult.ERROR, 0.0)
        return ProviderAnswer(ProviderResult.ERROR)

    async def ask(
        self, cookies: bytes, question: ProviderQuestion, *, known: bool = True
    ) -> ProviderAnswer:
        """Send a question. Runs in a Task; every result of the call becomes an answer.

        The timeout includes the time that a question waits for its turn. `known` is whether the provider has
        confirmed these cookies before: an error answer to unknown cookies, which may be made up to cause it,
        does not count as a failure of the provider. A missing answer always does.
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
        """Make one call if the circuit breaker permits it, and report the result to the circuit breaker."""
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
        """Return the status and the answer. No error text contains the sent data."""
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
            try:
                return response.status_code, await read_body(response, MAX_BYTES)
            except BadAnswer:
                return response.status_code, None

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _make_client() -> httpx.AsyncClient:
    """Make a client that connects only to the provider, and neither sends nor stores its own cookies.

    The caller sets the timeout and the number of connections.
    """
    return httpx.AsyncClient(
        headers=HEADERS,
        # A cookie that the provider sets for one user must not be sent with the question of another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - the caller sets one timeout for the whole answer
        limits=httpx.Limits(max_keepalive_connections=IN_FLIGHT, keepalive_expiry=_IDLE),
    )


def _base(url: str) -> str:
    """Return the address without a slash at its end.

    Raises:
        ValueError: it is no address for requests; the text does not repeat it.
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
    """Drop headers from the debug log of httpcore: headers of an answer may set cookies."""
    return "_headers" not in record.getMessage()
