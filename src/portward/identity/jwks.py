"""The public keys of an identity provider, fetched over HTTP and cached (RFC 7517).

Keys are refreshed in the background. When the provider is unreachable, the cached keys stay valid for a
day. A token with an unknown key, or with a signature that matches no key, can cause another fetch: at
most twice a minute, however many such tokens arrive.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import httpx

from portward.identity.http_body import HEADERS, BadAnswer, read_body
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
"""Seconds from a failed fetch to the next one, and between two fetches caused by tokens.

A set that is younger is not fetched again for a signature that matches none of its keys.
"""
STALE: Final = 24 * 3600.0
"""Seconds for which the keys stay valid when they cannot be fetched again."""
TIMEOUT: Final = 3.0
MAX_BYTES: Final = 1024 * 1024


class KeysUnavailable(Unavailable):
    """The key that a token names cannot be looked up now. `retry_after` is in seconds."""

    def __init__(self, retry_after: float = RETRY) -> None:
        super().__init__("keys unavailable")
        self.retry_after = retry_after


class JwksSource:
    """The key set of one issuer, fetched from one URL.

    `dropped` is called once with each entry of the set that cannot be used. `client` makes the HTTP client;
    it is called once, with arguments that turn off proxies from the environment and redirects, so that
    requests go only to the configured URL.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        issuer: str = "",
        refresh: float = REFRESH,
        dropped: Callable[[DroppedKey], None] = lambda key: None,  # noqa: ARG005 - the default ignores it
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
        """The reason why the last fetch failed, one of a few fixed texts; empty when it succeeded."""

    @property
    def reachable(self) -> bool:
        """Whether the last fetch returned a key set."""
        return not self.problem

    @property
    def keys(self) -> KeySet:
        """The keys to verify with now; empty before the first fetch, and a day after the last one."""
        fresh = self._clock.monotonic() - self._fetched_at < STALE
        return self._set if fresh else self._empty

    def start(self) -> None:
        """Start the background fetches. Needs the running loop; does not wait."""
        self._fetch()

    async def key_for(self, issuer: str, kid: str) -> SigningKey:
        """Return the key that an issuer means by `kid`, after another fetch when one is due.

        Concurrent callers wait for the same fetch. An empty `kid` stands for any key.

        Raises:
            TokenRefused: the issuer is another one, or its current set has no such key.
            KeysUnavailable: the key is not in the cache, and the set cannot be fetched.
        """
        if issuer != self._issuer:
            raise TokenRefused(TokenReason.ISSUER)
        found = self.keys.find(kid)
        if found is None and self._may_fetch():
            # asyncio.wait, not await: a cancelled caller must not cancel the fetch of the others, and a
            # cancelled fetch must not look like a cancellation of the caller.
            await asyncio.wait((self._fetch(),))
            found = self.keys.find(kid)
        if found is not None:
            return found
        raise UnknownKey(kid) if self.reachable else KeysUnavailable()

    async def renew(self) -> bool:
        """Fetch the set again for a signature that matches none of its keys; returns whether it was fetched.

        Only a set that is older than :data:`RETRY` is fetched, or one whose fetch is already running.
        """
        before = self._fetched_at
        young = self._clock.monotonic() - before < RETRY
        if self._fetching is None and (young or not self._may_fetch()):
            return False
        await asyncio.wait((self._fetch(),))
        return self._fetched_at > before

    def _may_fetch(self) -> bool:
        """Return whether to wait for a fetch: a running one, or one that may be started now."""
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
            self._fetching = asyncio.get_running_loop().create_task(self._download())
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

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        self._stop_timers()
        if task.cancelled():
            self.problem = "timeout"
        elif error := task.exception():
            self.problem = str(error) if isinstance(error, BadAnswer) else type(error).__name__
        if not self._closed:
            delay = RETRY if self.problem else self._refresh
            self._timers.append(self._clock.call_later(delay, self.start))

    async def _download(self) -> None:
        """Fetch the set and put it in use."""
        if self._client is None:
            self._client = self._make_client(
                headers=HEADERS, trust_env=False, follow_redirects=False, timeout=TIMEOUT
            )
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise BadAnswer(f"status {response.status_code}")
            document = await read_body(response, MAX_BYTES)
        self._adopt(document)

    def _adopt(self, document: bytes) -> None:
        """Put a fetched set in use. A set without a usable key is an error of its source.

        The set object stays the same while the document is unchanged, so tokens that it refused need not be
        checked again after each fetch.
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
            raise BadAnswer("not a key set") from None
        self._report(frozenset(dropped))
        if not keys:
            raise BadAnswer("no usable key")
        return KeySet(keys, issuer=self._issuer, remote=True)

    def _report(self, dropped: frozenset[DroppedKey]) -> None:
        """Report the dropped entries that were not in the previous set."""
        for key in sorted(dropped - self._reported):
            self._dropped(key)
        self._reported = dropped

    async def aclose(self) -> None:
        """Stop the fetches and close the connection. The keys stay available."""
        self._closed = True
        self._stop_timers()
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait((self._fetching,))
        if self._client is not None:
            await self._client.aclose()
            self._client = None
