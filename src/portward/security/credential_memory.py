"""A memory of checked credentials: refused ones for minutes, accepted ones for a day.

It stores neither credentials nor plain digests, but hashes with a key that is drawn at start, so that
they cannot be compared with digests from elsewhere.
"""

from enum import StrEnum
from hashlib import blake2b
from typing import Final

import msgspec

from portward.model.errors import CommandError, ErrorKind

REMEMBERED: Final = 50_000
"""The most refused credentials, and the most accepted ones, in memory: those used last."""
REFUSED_TIME: Final = 600.0
"""Seconds for which a refusal is remembered, counted from the first refusal."""
GOOD_TIME: Final = 86_400.0
"""Seconds for which a credential counts as known, after it was last accepted."""
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 10.0
"""Seconds for which a refused cookie is not checked again; the pause doubles each time."""
NEVER: Final = float("inf")
_DIGEST: Final = 16


class CredentialForm(StrEnum):
    """The form of a credential. The same text in another form is another credential."""

    TOKEN = "token"  # noqa: S105 - the name of a form
    SESSION_TOKEN = "session_token"  # noqa: S105 - the name of a form
    TICKET = "ticket"
    COOKIE = "cookie"


class RetryTime(StrEnum):
    """When a refused credential is checked again."""

    NEVER = "never"
    """The refusal stays the same as long as keys and rules are the same."""
    PAUSED = "paused"
    """Another server decides about it and is asked again after a pause."""
    AT_ONCE = "at_once"
    """It may become valid at any moment."""


class Remembered(msgspec.Struct):
    """A refused credential: the answer to it, and the time from which it is checked again.

    `counted` is whether the refusal was counted against an address. Times are monotonic seconds.
    """

    kind: ErrorKind
    detail: str | None
    claim: str | None
    until: float
    again: float
    pause: float = 0.0
    counted: bool = False

    def fault(self) -> CommandError:
        """Make a new command error with the stored answer."""
        return CommandError(self.kind, detail=self.detail, claim=self.claim)


class CredentialMemory:
    """Refused and accepted credentials by keyed hash, in bounded memory."""

    def __init__(self, secret: bytes, capacity: int = REMEMBERED) -> None:
        """Set the key of the hashes: `secret`, of which at most 64 bytes are used, drawn at start."""
        self._capacity = capacity
        self._key = secret
        self._refused: dict[bytes, Remembered] = {}
        self._good: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._refused)

    def key(self, form: CredentialForm, credential: str) -> bytes:
        """Return the hash under which a credential is stored."""
        text = f"{form}\0{credential}".encode("utf-8", "surrogatepass")
        return blake2b(text, key=self._key, digest_size=_DIGEST).digest()

    def refused(self, key: bytes, now: float) -> Remembered | None:
        """Return the record of a refused credential, or None, and mark it as used."""
        found = self._refused.pop(key, None)
        if found is None or now >= found.until:
            return None
        self._refused[key] = found
        return found

    def refuse(self, key: bytes, fault: CommandError, again: RetryTime, now: float) -> Remembered:
        """Record a refusal; the latest answer replaces the one before."""
        found = self.refused(key, now)
        if found is None:
            found = Remembered(fault.kind, fault.detail, fault.claim, now + REFUSED_TIME, now)
            self._refused[key] = found
            _trim(self._refused, self._capacity)
        self._good.pop(key, None)
        found.kind, found.detail, found.claim = fault.kind, fault.detail, fault.claim
        if again is RetryTime.PAUSED:
            found.pause = min(max(2 * found.pause, FIRST_PAUSE), LONGEST_PAUSE)
            found.again = now + found.pause
        else:
            found.again = NEVER if again is RetryTime.NEVER else now
        return found

    def accept(self, key: bytes, now: float) -> None:
        """Record a valid credential and drop its refusal."""
        self._refused.pop(key, None)
        self._good.pop(key, None)
        self._good[key] = now + GOOD_TIME
        if len(self._good) > self._capacity:
            _trim(self._good, self._capacity)

    def is_known(self, key: bytes, now: float) -> bool:
        """Return whether a credential was valid in the last day and was not refused since."""
        return self._good.get(key, 0.0) > now

    def forget_refusals(self) -> None:
        """Drop all refusals, after a change of keys, rules or the clock."""
        self._refused.clear()


def _trim(table: dict[bytes, Remembered] | dict[bytes, float], capacity: int) -> None:
    """Drop the least recently used entry when the table is over its capacity."""
    if len(table) > capacity:
        del table[next(iter(table))]
