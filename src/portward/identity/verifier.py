"""Verification of tokens with static keys, or with keys that may have to be fetched first."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from portward.identity.jwks import JwksSource
from portward.model.claim_path import ClaimPath
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.security import tokens
from portward.security.tokens import (
    KeySet,
    NoKeyFits,
    TokenReason,
    TokenRefused,
    UnknownKey,
)
from portward.settings.tokens import TokenRules

_OTHER_KEY: Final = frozenset({TokenReason.ALGORITHM, TokenReason.KEY, TokenReason.SIGNATURE})
"""Reasons of refusal that may not apply with another set of keys."""


TOKENS: Final = 10
"""Accepted tokens without a claim after which the claim is reported."""

Report = Callable[[tuple[ClaimPath, ...], int], None]
"""A function that gets the claims that never appeared, and the number of tokens."""


class ClaimWatch:
    """Counts accepted tokens until each watched claim has appeared, or enough tokens came without it.

    It reports at most once and counts nothing after that.
    """

    def __init__(self, watched: Iterable[ClaimPath], report: Report) -> None:
        self._never = tuple(watched)
        self._report = report
        self._tokens = 0

    def accepted(self, absent: tuple[ClaimPath, ...]) -> None:
        """Count an accepted token that does not have the claims `absent`."""
        if not self._never:
            return
        self._tokens += 1
        self._never = tuple(path for path in self._never if path in absent)
        if self._never and self._tokens >= TOKENS:
            never, self._never = self._never, ()
            self._report(never, self._tokens)


class TokenVerifier:
    """Verifies tokens with static keys, or with the set of a `JwksSource`.

    `ignored` is called with the names of headers by which a token tried to bring its own key, `absent` with
    the claims of `rules.watched` that none of the first tokens has, and the number of these tokens.

    Raises (from `identify`):
        TokenRefused: the token is not valid.
        KeysUnavailable: the key that the token names cannot be fetched now.
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
        """The current keys."""
        return self.keys.keys if isinstance(self.keys, JwksSource) else self.keys

    @property
    def edition(self) -> int:
        """A number that changes whenever keys or rules change, so that a token must be verified again."""
        keys = self._set
        if keys is not self._seen:
            self._seen = keys
            self._edition += 1
        return self._edition

    def lasts(self, refused: TokenRefused) -> bool:
        """Return whether the same token stays refused while `edition` is the same.

        False for a token that becomes valid later, and, where keys are fetched, for a token whose key was not
        found: it can cause another fetch of the set.
        """
        if refused.reason is TokenReason.NOT_YET:
            return False
        return not (self._set.remote and refused.reason in _OTHER_KEY)

    def start(self) -> None:
        """Start to fetch keys, if they come from a URL."""
        if isinstance(self.keys, JwksSource):
            self.keys.start()

    def adopt(self, other: "TokenVerifier") -> None:
        """Use the keys and rules of another verifier from now on."""
        old, self.keys, self.rules = self.keys, other.keys, other.rules
        self._watch = ClaimWatch(self.rules.watched, self._absent)
        self._edition += 1
        self.start()
        if isinstance(old, JwksSource):
            self._closing = asyncio.ensure_future(old.aclose())

    async def aclose(self) -> None:
        """Stop to fetch keys."""
        if self._closing is not None:
            await self._closing
        if isinstance(self.keys, JwksSource):
            await self.keys.aclose()

    async def identify(self, token: str) -> Identity:
        """Verify a token now; fetches the keys again if they may have changed."""
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
            if refused.ignored:
                self._ignored(refused.ignored)
            raise
        if verified.ignored:
            self._ignored(verified.ignored)
        if self.rules.watched:
            self._watch.accepted(verified.absent)
        return verified.identity
