"""The public keys of an identity provider, fetched over HTTP and kept (RFC 7517).

Keys are refreshed in the background. A provider that is away costs nothing for a day: known keys go
on verifying. A token that names an unknown key, or whose signature fits no key, may make the gateway
ask again, twice a minute at most, however many of them are sent.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import httpx

from portward.model.clock import Clock, Timer
from portward.model.errors import Unavailable
from portward.security.jwk import DroppedKey, read_jwks
from portward.security.tokens import (
    KeySet,
    SigningKey,
    TokenReason,
    TokenRefused,
    UnknownKey,
)

REFRESH: Final = 600.0
"""Seconds between two fetches in the background."""
RETRY: Final = 30.0
"""Seconds after a failure until the next one, and between two fetches forced by tokens.

A set that is younger is not fetched again for a signature that fits none of its keys.
"""
STALE: Final = 24 * 3600.0
"""Seconds the keys last when they cannot be fetched again."""
TIMEOUT: Final = 3.0
MAX_BYTES: Final = 1024 * 1024
_HEADERS: Final = {
    "accept": "application/json",
    # What is not compressed cannot blow up while it is counted.
    "accept-encoding": "identity",
    "user-agent": "portward",
}


class KeysUnavailable(Unavailable):
    """The key a token names cannot be looked up now. `retry_after` is in seconds."""

    def __init__(self, retry_after: float = RETRY) -> None:
        super().__init__("keys unavailable")
        self.retry_after = retry_after


class _BadAnswer(Exception):  # noqa: N818 - becomes the text of `problem`
    """The provider answered, and not with a key set."""


class JwksSource:
    """The key set behind one URL, which belongs to one issuer.

    `dropped` is given each entry of the set that cannot be used, once. `client` makes the HTTP client;
    it is called once, with what no caller should forget: no proxies from the environment and no
    redirects, so that nothing but the configured URL is ever asked.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        issuer: str = "",
        refresh: float = REFRESH,
        dropped: Callable[[DroppedKey], None] = lambda key: None,  # noqa: ARG005 - unless asked
        client: Callable[..., httpx.AsyncClient] = httpx.AsyncClient,
    ) -> None:
        self._url = url
        self._clock = clock
        self._issuer = issuer
        self._refresh = refresh
        self._make_client = client
        self._dropped = dropped
        self._reported: frozenset[DroppedKey] = frozenset()
        self._client: httpx.AsyncClient | None = None
        self._set = self._empty = KeySet((), issuer=issuer, remote=True)
        self._document = b""
        self._fetched_at = -STALE
        self._forced_at = -RETRY
        self._fetching: asyncio.Task[None] | None = None
        self._timers: list[Timer] = []
        self._closed = False
        self.problem = "not fetched yet"
        """Why the last fetch failed, in a few fixed words; empty when it did not."""

    @property
    def reachable(self) -> bool:
        """Whether the last fetch brought a key set."""
        return not self.problem

    @property
    def keys(self) -> KeySet:
        """The keys to verify with now: empty before the first fetch and a day after the last."""
        fresh = self._clock.monotonic() - self._fetched_at < STALE
        return self._set if fresh else self._empty

    def start(self) -> None:
        """Begin to fetch, and go on doing so. Needs the running loop; does not wait."""
        self._fetch()

    async def key_for(self, issuer: str, kid: str) -> SigningKey:
        """The key an issuer means by `kid`, after fetching again when that is due.

        All who ask at once wait for one fetch. An empty `kid` stands for any key.

        Raises:
            TokenRefused: the issuer is another one, or its current set has no such key.
            KeysUnavailable: there is no such key here and the set cannot be fetched.
        """
        if issuer != self._issuer:
            raise TokenRefused(TokenReason.ISSUER)
        found = self.keys.find(kid)
        if found is None and self._may_fetch():
            # Waiting for the task, not awaiting it: one waiter that goes away must not end the
            # fetch of the others, and a fetch that is given up must not look like a cancellation.
            await asyncio.wait((self._fetch(),))
            found = self.keys.find(kid)
        if found is not None:
            return found
        raise UnknownKey(kid) if self.reachable else KeysUnavailable()

    async def renew(self) -> bool:
        """Fetch the set again for a signature that fits none of its keys; whether a set was fetched.

        Only a set that is older than :data:`RETRY` is fetched, or one that is being fetched anyway.
        """
        before = self._fetched_at
        young = self._clock.monotonic() - before < RETRY
        if self._fetching is None and (young or not self._may_fetch()):
            return False
        await asyncio.wait((self._fetch(),))
        return self._fetched_at > before

    def _may_fetch(self) -> bool:
        """Whether to wait for a fetch: the one under way, or one that may be forced now."""
        if self._fetching is not None:
            return True
        now = self._clock.monotonic()
        if self._closed or now - self._forced_at < RETRY:
            return False
        self._forced_at = now
        return True

    def _fetch(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._stop_timers()
            self._fetching = asyncio.get_running_loop().create_task(self._run())
            self._fetching.add_done_callback(self._fetched)
            self._timers.append(self._clock.call_later(TIMEOUT, self._give_up))
        return self._fetching

    def _give_up(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    async def _run(self) -> None:
        self._adopt(await self._download())

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        self._stop_timers()
        if task.cancelled():
            self.problem = "timeout"
        elif error := task.exception():
            self.problem = str(error) if isinstance(error, _BadAnswer) else type(error).__name__
        if not self._closed:
            delay = RETRY if self.problem else self._refresh
            self._timers.append(self._clock.call_later(delay, self.start))

    async def _download(self) -> bytes:
        if self._client is None:
            self._client = self._make_client(
                headers=_HEADERS, trust_env=False, follow_redirects=False, timeout=TIMEOUT
            )
        body = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise _BadAnswer(f"status {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise _BadAnswer("compressed")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _BadAnswer("too large")
        return bytes(body)

    def _adopt(self, document: bytes) -> None:
        """Put a fetched set in force. One without a usable key is a fault at its source.

        The set stays the same object while the document does: what was refused by it need not be judged
        again after each fetch.
        """
        if document != self._document:
            self._set = self._read(document)
            self._document = document
        self._fetched_at = self._clock.monotonic()
        self.problem = ""

    def _read(self, document: bytes) -> KeySet:
        try:
            keys, dropped = read_jwks(document)
        except ValueError:
            raise _BadAnswer("not a key set") from None
        self._report(frozenset(dropped))
        if not keys:
            raise _BadAnswer("no usable key")
        return KeySet(keys, issuer=self._issuer, remote=True)

    def _report(self, dropped: frozenset[DroppedKey]) -> None:
        """Report what the set before this one did not have already."""
        for key in sorted(dropped - self._reported):
            self._dropped(key)
        self._reported = dropped

    async def aclose(self) -> None:
        """Stop fetching and let the connection go. The keys stay as they are."""
        self._closed = True
        self._stop_timers()
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait((self._fetching,))
        if self._client is not None:
            await self._client.aclose()
            self._client = None
