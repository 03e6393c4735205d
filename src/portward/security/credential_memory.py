"""What is remembered of credentials that were judged: refusals for minutes, good ones for a day.

Neither credentials nor digests that could be compared elsewhere are kept, but hashes under a key that is
made at start.
"""

from enum import StrEnum
from hashlib import blake2b
from typing import Final

import msgspec

from portward.model.errors import CommandError, ErrorKind

REMEMBERED: Final = 50_000
"""Refused credentials that are remembered, and as many good ones: those seen last."""
REFUSED_TIME: Final = 600.0
"""Seconds for which a refusal is remembered, from the first on."""
GOOD_TIME: Final = 86_400.0
"""Seconds for which a credential counts as known, from the last time it was good."""
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 10.0
"""Seconds for which a refused cookie is not asked about again: twice as long each time."""
NEVER: Final = float("inf")
_DIGEST: Final = 16


class CredentialForm(StrEnum):
    """What kind of thing was presented. The same text as another kind is another credential."""

    TOKEN = "token"  # noqa: S105 - the name of a kind
    SESSION_TOKEN = "session_token"  # noqa: S105 - the name of a kind
    TICKET = "ticket"
    COOKIE = "cookie"


class RetryTime(StrEnum):
    """When a refused credential is judged again."""

    NEVER = "never"
    """It stays refused for as long as keys and rules are the same."""
    PAUSED = "paused"
    """Whether it is good is another server's word, which is asked again after a pause."""
    AT_ONCE = "at_once"
    """It may be good at any moment."""


class Remembered(msgspec.Struct):
    """A refused credential: what it is answered, and from when on it is judged again.

    `counted` is whether it was counted against an address. Times are monotonic seconds.
    """

    kind: ErrorKind
    detail: str | None
    claim: str | None
    until: float
    again: float
    pause: float = 0.0
    counted: bool = False

    def fault(self) -> CommandError:
        """The answer, anew."""
        return CommandError(self.kind, detail=self.detail, claim=self.claim)


class CredentialMemory:
    """Refused and good credentials by keyed hash, in bounded memory."""

    def __init__(self, secret: bytes, capacity: int = REMEMBERED) -> None:
        """`secret` is the key of the hashes, at most 64 bytes of it, drawn at start."""
        self._capacity = capacity
        self._key = secret
        self._refused: dict[bytes, Remembered] = {}
        self._good: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._refused)

    def key(self, form: CredentialForm, credential: str) -> bytes:
        """The hash a credential is remembered by."""
        text = f"{form}\0{credential}".encode("utf-8", "surrogatepass")
        return blake2b(text, key=self._key, digest_size=_DIGEST).digest()

    def refused(self, key: bytes, now: float) -> Remembered | None:
        """What is remembered of a refused credential; it counts as seen."""
        found = self._refused.pop(key, None)
        if found is None or now >= found.until:
            return None
        self._refused[key] = found
        return found

    def refuse(self, key: bytes, fault: CommandError, again: RetryTime, now: float) -> Remembered:
        """Remember a refusal, the latest answer in place of the one before."""
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
        """Remember that a credential is good, and no longer that it was refused."""
        self._refused.pop(key, None)
        self._good.pop(key, None)
        self._good[key] = now + GOOD_TIME
        _trim(self._good, self._capacity)

    def is_known(self, key: bytes, now: float) -> bool:
        """Whether a credential was good in the last day and was not refused since."""
        return self._good.get(key, 0.0) > now

    def forget_refusals(self) -> None:
        """Judge every credential anew: keys, rules or the time are not what they were."""
        self._refused.clear()


def _trim(table: dict[bytes, Remembered] | dict[bytes, float], capacity: int) -> None:
    """Drop what was touched longest ago, when there is too much."""
    if len(table) > capacity:
        del table[next(iter(table))]
