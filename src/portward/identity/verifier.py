"""Tokens to identities: with keys at hand, or with keys that may have to be fetched first."""

import asyncio
from collections.abc import Callable
from typing import Final

from portward.identity.claim_watch import ClaimWatch, Report
from portward.identity.jwks import JwksSource
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.security import tokens
from portward.security.tokens import (
    KeySet,
    NoKeyFits,
    TokenReason,
    TokenRefused,
    TokenRules,
    UnknownKey,
)

_OTHER_KEY: Final = frozenset({TokenReason.ALGORITHM, TokenReason.KEY, TokenReason.SIGNATURE})
"""Refusals that another set of keys may take back."""


class TokenVerifier:
    """Verifies with static keys, or with the set of a `JwksSource`.

    `ignored` is given the names of headers by which a token tried to bring its own key, `absent` the
    claims of `rules.watched` that none of the first tokens has, and how many tokens those were.

    Raises (from `identify`):
        TokenRefused: the token is not valid.
        KeysUnavailable: the key it names cannot be fetched now.
    """

    def __init__(
        self,
        keys: KeySet | JwksSource,
        rules: TokenRules,
        clock: Clock,
        ignored: Callable[[tuple[str, ...]], None],
        absent: Report = lambda paths, tokens: None,  # noqa: ARG005 - commands report it themselves
    ) -> None:
        self.keys = keys
        self.rules = rules
        self._clock = clock
        self._ignored = ignored
        self._absent = absent
        self._watch = ClaimWatch(rules.watched, absent)
        self._closing: asyncio.Future[None] | None = None
        self._edition = 0
        self._seen = self._set

    @property
    def _set(self) -> KeySet:
        """The keys at hand."""
        return self.keys.keys if isinstance(self.keys, JwksSource) else self.keys

    @property
    def edition(self) -> int:
        """A number that changes whenever the same token may be judged otherwise: other keys, other rules."""
        keys = self._set
        if keys is not self._seen:
            self._seen = keys
            self._edition += 1
        return self._edition

    def lasts(self, refused: TokenRefused) -> bool:
        """Whether the same token stays refused for as long as the edition is the same.

        Not one that will be good later. And where keys are fetched, not one whose key was not found: it
        may make the set be fetched again.
        """
        if refused.reason is TokenReason.NOT_YET:
            return False
        return not (self._set.remote and refused.reason in _OTHER_KEY)

    def start(self) -> None:
        """Begin to fetch keys, where they come from elsewhere."""
        if isinstance(self.keys, JwksSource):
            self.keys.start()

    def adopt(self, other: "TokenVerifier") -> None:
        """Verify with the keys and rules of another from now on."""
        old, self.keys, self.rules = self.keys, other.keys, other.rules
        self._watch = ClaimWatch(self.rules.watched, self._absent)
        self._edition += 1
        self.start()
        if isinstance(old, JwksSource):
            self._closing = asyncio.ensure_future(old.aclose())

    async def aclose(self) -> None:
        """Fetch no more."""
        if self._closing is not None:
            await self._closing
        if isinstance(self.keys, JwksSource):
            await self.keys.aclose()

    async def identify(self, token: str) -> Identity:
        """Verify a token now, after fetching keys again that may have changed."""
        keys = self.keys
        try:
            return self._verify(token)
        except UnknownKey as unknown:
            if not isinstance(keys, JwksSource):
                raise
            await keys.key_for(self.rules.issuer, unknown.kid)
        except NoKeyFits:
            if not isinstance(keys, JwksSource) or not await keys.renew():
                raise
        return self._verify(token)

    def _verify(self, token: str) -> Identity:
        try:
            verified = tokens.verify(token, self._set, self.rules, self._clock.time())
        except TokenRefused as refused:
            self._note(refused.ignored)
            raise
        self._note(verified.ignored)
        self._watch.accepted(verified.absent)
        return verified.identity

    def _note(self, headers: tuple[str, ...]) -> None:
        if headers:
            self._ignored(headers)
