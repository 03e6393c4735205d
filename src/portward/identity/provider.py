"""Identity and rights by cookies: the identity provider (Directus) decides."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

import portward.identity.cookies as forms
from portward.identity.provider_client import ProviderClient
from portward.identity.provider_responses import (
    ProviderAnswer,
    ProviderQuestion,
    topic_question,
    user_question,
)
from portward.identity.single_flight import Recent, SingleFlight
from portward.identity.topics import Topics
from portward.model.clock import Clock
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import Identity
from portward.model.provider import ProviderResult
from portward.settings.sections import CookieForm, IdentityProviderSettings

STAMPS: Final = 50_000
"""The number of cookie headers whose last confirmation is remembered, the most recently used ones."""
READINGS: Final = 100_000
"""The number of cookie readings whose first confirmation is remembered; a plain cookie has one reading."""
CONFIRMED: Final = 86_400.0
"""Seconds for which cookies count as known, after the provider last confirmed them."""
_DIGEST: Final = 16
_ME: Final = user_question()


def _accepts(settings: IdentityProviderSettings) -> Callable[[str], bool]:
    """Return the check of cookies: that they can be read in one way, or that they can be sent.

    A value that Express reads as JSON is accepted only when all cookies of a site are sent on.
    """
    if settings.cookie_values is CookieForm.ANY:
        return forms.are_readable
    return forms.are_sendable if "*" in settings.cookies else forms.are_plain


class CookieProvider:
    """Asks the identity provider with a client's own cookies; it makes no decision itself.

    Answers are cached for seconds under a keyed hash; cookies are held only during a call. `observe` is
    called with the outcome of every call and its seconds; `changed` is called with False when the provider
    failed so often that it is not asked for a while, and with True when it works again.

    Raises:
        ValueError: the address or a topic pattern cannot be used.
    """

    def __init__(
        self,
        settings: IdentityProviderSettings,
        clock: Clock,
        observe: Callable[[ProviderResult, float], None],
        changed: Callable[[bool], None] = lambda up: None,  # noqa: ARG005 - the default ignores it
    ) -> None:
        self._topics = Topics(settings.topics)
        self._accepts = _accepts(settings)
        self._clock = clock
        self._observe = observe
        self._client = ProviderClient(settings.url, settings.timeout, clock, observe, changed)
        self._answers = SingleFlight(clock)
        self._first_seen: Recent[float] = Recent(READINGS)
        self._confirmed: Recent[float] = Recent(STAMPS)
        self._key = secrets.token_bytes(32)
        self._closed = False

    def adopt(self, topics: Mapping[str, str]) -> None:
        """Use other topic patterns from now on.

        Raises:
            ValueError: a pattern cannot be used; the old patterns stay in use.
        """
        self._topics = Topics(topics)

    def confirmed(self, cookies: str) -> bool:
        """Return whether the provider confirmed `cookies` in the last day and has not refused them since."""
        header = self._digest(b"", cookies.strip(" \t").encode("latin-1", "replace"))
        return (self._confirmed.get(header) or 0.0) > self._clock.monotonic()

    def absent(self) -> None:
        """Count a handshake without cookies, for which no question was sent."""
        self._observe(ProviderResult.NO_COOKIE, 0.0)

    async def identify(self, cookies: str, *, max_age: float | None = None) -> Identity:
        """Ask who sent `cookies`, the value of a `Cookie` header; an answer may be `max_age` seconds old.

        `issued_at` is that of the oldest cookie: for a token, the time of its own claim, since the provider
        has confirmed it; for any other cookie, the time when it was first seen for this user.

        Raises:
            CommandError: `AUTHENTICATION_FAILED`, the provider does not know the cookies, or they have values
                that are not accepted.
            Unavailable: the provider gives no usable answer.
        """
        answer = await self._answer(cookies, _ME, max_age)
        if answer.user is None:
            if not self._accepts(cookies.strip(" \t")):
                raise CommandError(ErrorKind.AUTHENTICATION_FAILED, detail="cookie_form")
            detail = "the identity provider does not know the cookie"
            raise CommandError(ErrorKind.AUTHENTICATION_FAILED, detail=detail)
        return answer.user

    async def allows(self, cookies: str, name: str, *, max_age: float | None = None) -> bool:
        """Ask whether the sender of `cookies` may see the resource behind the topic `name`.

        An answer may be `max_age` seconds old; with 0 the question is sent after this call.

        Raises:
            Unavailable: the provider gives no usable answer.
        """
        path = self._topics.question(name)
        if path is None:
            return False
        answer = await self._answer(cookies, topic_question(path), max_age)
        return answer.result is ProviderResult.OK

    async def aclose(self) -> None:
        """Stop asking, cancel the running calls, and close the connections."""
        self._closed = True
        await self._answers.aclose()
        await self._client.aclose()

    async def _answer(
        self, cookies: str, question: ProviderQuestion, max_age: float | None
    ) -> ProviderAnswer:
        """Return a definite answer: OK or UNAUTHORIZED."""
        cookies = cookies.strip(" \t")
        if not self._accepts(cookies):
            # It cannot be sent, or may be another spelling of a revoked cookie: do not ask the provider.
            self._observe(ProviderResult.UNAUTHORIZED, 0.0)
            return ProviderAnswer(ProviderResult.UNAUTHORIZED)
        answer = await self._find(cookies.encode("latin-1"), question, max_age)
        if answer.result not in {ProviderResult.OK, ProviderResult.UNAUTHORIZED}:
            raise Unavailable(f"identity provider: {answer.result}")
        return answer

    async def _find(
        self, cookies: bytes, question: ProviderQuestion, max_age: float | None
    ) -> ProviderAnswer:
        """Return the cached answer, or that of the running call, or that of a new call."""
        if self._closed:
            raise Unavailable("identity provider: closed")
        key = self._digest(question.path.encode(), cookies)
        cached = self._answers.cached(key, max_age)
        if cached is not None:
            return cached
        call = self._answers.running(key, max_age)
        if call is None:
            refusal = self._client.refusal()
            if refusal is not None:
                return refusal
            call = self._answers.begin(key, lambda: self._ask(cookies, question), question.brief)
        # asyncio.wait, not await: a cancelled caller must not cancel the call of the others.
        await asyncio.wait((call,))
        if call.cancelled():
            raise Unavailable("identity provider: closed")
        return call.result()

    async def _ask(self, cookies: bytes, question: ProviderQuestion) -> ProviderAnswer:
        asked = self._clock.time()
        # The whole header counts: a single cookie without meaning may appear in any user's header.
        header = self._digest(b"", cookies)
        known = self._confirmed.get(header) is not None
        answer = await self._client.ask(cookies, question, known=known)
        if answer.user is None:
            if question is _ME and answer.result is ProviderResult.UNAUTHORIZED and known:
                self._confirmed.put(header, 0.0)
            return answer
        self._confirmed.put(header, self._clock.monotonic() + CONFIRMED)
        issued_at = self._issued(cookies, answer.user.subject, asked)
        return ProviderAnswer(
            answer.result, msgspec.structs.replace(answer.user, issued_at=issued_at)
        )

    def _issued(self, cookies: bytes, subject: str, now: float) -> float:
        """Return when the oldest of the cookies was issued to this subject, as far as known.

        A revocation covers cookies that were issued before it. So each cookie has its own time: if the whole
        header had one, a revoked cookie would look new with another cookie or another spelling beside it.
        """
        found = forms.spellings(cookies)
        return min(self._issued_one(name, values, subject, now) for name, values in found)

    def _issued_one(self, name: bytes, values: frozenset[bytes], subject: str, now: float) -> float:
        """Return when one cookie was issued: the earliest time of any reading of its value."""
        keys = [self._digest(subject.encode(), name + b"=" + value) for value in values]
        stamps = [self._first_seen.get(key) for key in keys]
        first = min((stamp for stamp in stamps if stamp is not None), default=now)
        for key, stamp in zip(keys, stamps, strict=True):
            if stamp is None:
                # A new reading gets the time of the oldest reading of the same cookie.
                self._first_seen.put(key, first)
        return min(forms.issued(value, min(first, now)) for value in values)

    def _digest(self, about: bytes, cookies: bytes) -> bytes:
        """Return a keyed hash as a cache key. `about` contains no NUL, so the parts cannot be confused."""
        hashed = hashlib.blake2b(about + b"\0" + cookies, key=self._key, digest_size=_DIGEST)
        return hashed.digest()
