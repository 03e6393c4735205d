"""Who is logged in: one entry for every session cookie that was handed out."""

import secrets as random
from hashlib import sha256
from typing import Final

from portward.demo.people import User
from portward.model.clock import Clock

SIZE: Final = 1000
"""Sessions at once; one more ends the oldest."""
LIFE: Final = 24 * 3600.0
"""Seconds a session lasts."""
_BYTES: Final = 32


class CookieSessions:
    """Sessions by the SHA-256 of their token, so that looking one up tells nothing by its timing."""

    def __init__(self, clock: Clock, *, size: int = SIZE, life: float = LIFE) -> None:
        self.life = life
        self._clock = clock
        self._size = size
        self._open: dict[bytes, tuple[User, float]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, user: User) -> str:
        """Begin a session; return its token, 256 random bits in hexadecimal."""
        while len(self._open) >= self._size:
            del self._open[next(iter(self._open))]
        token = random.token_hex(_BYTES)
        self._open[_digest(token)] = user, self._clock.monotonic() + self.life
        return token

    def user(self, token: str) -> User | None:
        """Whose session it is; None when there is none, or none any more."""
        user, until = self._open.get(_digest(token), (None, 0.0))
        if user is None or self._clock.monotonic() < until:
            return user
        self.close(token)
        return None

    def close(self, token: str) -> None:
        """End a session, if there is one."""
        self._open.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
