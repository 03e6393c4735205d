"""Who a browser's cookies belong to, and what they open: asked of the identity provider (Directus)."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec

from portward.identity import cookies as jar
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

STAMPS: Final = 50_000
"""Headers of cookies whose last confirmation is remembered, those used last."""
READINGS: Final = 100_000
"""Readings of cookies whose first confirmation is remembered; a plain cookie has one, others a few."""
CONFIRMED: Final = 86_400.0
"""Seconds for which cookies count as known, from when the provider last said whose they are."""
_DIGEST: Final = 16
_ME: Final = user_question()


class CookieValues(Enum):
    """Which values of cookies are taken."""

    PLAIN = "plain"
    """Those that there are no two ways to read."""
    ANY = "any"
    """Any that can be sent, but for those that Express reads as JSON."""
    SENDABLE = "sendable"
    """Any that can be sent, where all cookies of a site are: what a revoked one means is not known."""


_TAKEN: Final = {
    CookieValues.PLAIN: jar.are_plain,
    CookieValues.ANY: jar.are_readable,
    CookieValues.SENDABLE: jar.are_sendable,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRules:
    """Where the provider is and what it is asked.

    `url` is the base address, `timeout` the seconds a whole answer may take. `topics` maps patterns to
    questions, see `Topics`. `values` says which values of cookies are taken.
    """

    url: str
    timeout: float = 5.0
    topics: Mapping[str, str] = field(default_factory=dict)
    values: CookieValues = CookieValues.PLAIN


class CookieProvider:
    """Asks the identity provider with a client's own cookies; it judges nothing itself.

    Answers are kept for seconds, under a keyed hash: cookies are held no longer than a call takes.
    `observe` is given the outcome of every call and its seconds; `changed` is called with False when
    the provider failed so often that it is not asked for a while, and with True when it is back.

    Raises:
        ValueError: the address or a topic pattern cannot be used.
    """

    def __init__(
        self,
        rules: ProviderRules,
        clock: Clock,
        observe: Callable[[ProviderResult, float], None],
        changed: Callable[[bool], None] = lambda up: None,  # noqa: ARG005 - nobody wants to know
    ) -> None:
        self._topics = Topics(rules.topics)
        self._takes = _TAKEN[rules.values]
        self._clock = clock
        self._observe = observe
        self._asker = ProviderClient(rules.url, rules.timeout, clock, observe, changed)
        self._shared = SingleFlight(clock)
        self._stamps: Recent[float] = Recent(READINGS)
        self._confirmed: Recent[float] = Recent(STAMPS)
        self._key = secrets.token_bytes(32)
        self._closed = False

    def adopt(self, topics: Mapping[str, str]) -> None:
        """Ask by other patterns from now on.

        Raises:
            ValueError: one cannot be used; the patterns stay what they were.
        """
        self._topics = Topics(topics)

    def confirmed(self, cookies: str) -> bool:
        """Whether the provider said within the last day whose `cookies` are, and not otherwise since."""
        header = self._digest(b"", cookies.strip(" \t").encode("latin-1", "replace"))
        return (self._confirmed.get(header) or 0.0) > self._clock.monotonic()

    def absent(self) -> None:
        """Count somebody who came without cookies: there was nothing to ask."""
        self._observe(ProviderResult.NO_COOKIE, 0.0)

    async def identify(self, cookies: str, *, max_age: float | None = None) -> Identity:
        """Who sent `cookies`, the value of a `Cookie` header; an answer may be `max_age` seconds old.

        `issued_at` is that of the oldest cookie: when a token says it was issued, now that the
        provider has confirmed it; when any other was first seen to be this user's.

        Raises:
            Fault: `AUTHENTICATION_FAILED`, the provider does not know them, or they have values that
                are not taken.
            Unavailable: it gives no answer that can be used.
        """
        answer = await self._answer(cookies, _ME, max_age)
        if answer.user is None:
            if not self._takes(cookies.strip(" \t")):
                raise CommandError(ErrorKind.AUTHENTICATION_FAILED, detail="cookie_form")
            detail = "the identity provider does not know the cookie"
            raise CommandError(ErrorKind.AUTHENTICATION_FAILED, detail=detail)
        return answer.user

    async def allows(self, cookies: str, name: str, *, max_age: float | None = None) -> bool:
        """Whether the provider lets who sent `cookies` see what the topic `name` stands for.

        An answer may be `max_age` seconds old; with 0 it is to a question put now or later.

        Raises:
            Unavailable: it gives no answer that can be used.
        """
        path = self._topics.question(name)
        if path is None:
            return False
        answer = await self._answer(cookies, topic_question(path), max_age)
        return answer.result is ProviderResult.OK

    async def aclose(self) -> None:
        """Ask no more, give up what is asked, and close the connections."""
        self._closed = True
        await self._shared.aclose()
        await self._asker.aclose()

    async def _answer(
        self, cookies: str, question: ProviderQuestion, max_age: float | None
    ) -> ProviderAnswer:
        """An answer that settles the question: OK or UNAUTHORIZED."""
        cookies = cookies.strip(" \t")
        if not self._takes(cookies):
            # It cannot be sent, or might be another spelling of one that was revoked: nobody is asked.
            self._observe(ProviderResult.UNAUTHORIZED, 0.0)
            return ProviderAnswer(ProviderResult.UNAUTHORIZED)
        answer = await self._find(cookies.encode("latin-1"), question, max_age)
        if answer.result not in {ProviderResult.OK, ProviderResult.UNAUTHORIZED}:
            raise Unavailable(f"identity provider: {answer.result}")
        return answer

    async def _find(
        self, cookies: bytes, question: ProviderQuestion, max_age: float | None
    ) -> ProviderAnswer:
        """The answer that is kept, or that of the call under way, or that of a new one."""
        if self._closed:
            raise Unavailable("identity provider: closed")
        key = self._digest(question.path.encode(), cookies)
        kept = self._shared.kept(key, max_age)
        if kept is not None:
            return kept
        call = self._shared.flight(key, max_age)
        if call is None:
            refusal = self._asker.refusal()
            if refusal is not None:
                return refusal
            call = self._shared.begin(key, lambda: self._ask(cookies, question), question.brief)
        # Waiting for the task, not awaiting it: one who goes away must not end the call of the others.
        await asyncio.wait((call,))
        if call.cancelled():
            raise Unavailable("identity provider: closed")
        return call.result()

    async def _ask(self, cookies: bytes, question: ProviderQuestion) -> ProviderAnswer:
        asked = self._clock.time()
        # The header as a whole: a cookie that means nothing may be part of anybody's.
        header = self._digest(b"", cookies)
        known = self._confirmed.get(header) is not None
        answer = await self._asker.ask(cookies, question, known=known)
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
        """When the oldest of the cookies was issued to this subject, as far as can be known.

        A revocation covers what was issued before it. The header as a whole is not what was issued:
        with one more cookie in it, or another spelling, the one that was revoked would pass for new.
        """
        found = jar.spellings(cookies)
        return min(self._issued_one(name, values, subject, now) for name, values in found)

    def _issued_one(self, name: bytes, values: frozenset[bytes], subject: str, now: float) -> float:
        """When one cookie was issued, by the earliest that any reading of its value tells."""
        keys = [self._digest(subject.encode(), name + b"=" + value) for value in values]
        stamps = [self._stamps.get(key) for key in keys]
        first = min((stamp for stamp in stamps if stamp is not None), default=now)
        for key, stamp in zip(keys, stamps, strict=True):
            if stamp is None:
                # A reading that is new is as old as the oldest it stands beside.
                self._stamps.put(key, first)
        return min(jar.issued(value, min(first, now)) for value in values)

    def _digest(self, about: bytes, cookies: bytes) -> bytes:
        """A key that nothing can be read from. There is no NUL in what it is about."""
        hashed = hashlib.blake2b(about + b"\0" + cookies, key=self._key, digest_size=_DIGEST)
        return hashed.digest()
