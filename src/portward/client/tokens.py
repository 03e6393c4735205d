"""The source of tokens: one request to the application at a time, and never an older token."""

import asyncio
import inspect
import json
import math
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from portward.client.clock import time_limit
from portward.client.errors import TokenFailed, UnauthorizedError
from portward.model.clock import Clock

TokenReason = Literal["connect", "refresh", "rejected"]
GetToken = Callable[..., Awaitable[str] | str]
"""Returns a token; is given the reason if it takes an argument. Raises UnauthorizedError to stop."""

TokenSource = Callable[[], Awaitable[str]]
"""Returns a token that is fresh enough."""

_LIMIT: Final = 10.0


class TokenProvider:
    """A fixed token, or a function that returns a fresh one. Its `repr` shows neither."""

    def __init__(
        self,
        source: str | GetToken | None,
        clock: Clock,
        *,
        limit: float = _LIMIT,
        name: str = "get_token",
    ) -> None:
        self._name = name
        self._source = source
        self._takes_reason = callable(source) and _takes_argument(source)
        self._clock = clock
        self._limit = limit
        self._flight: asyncio.Task[str] | None = None
        self._newest = 0.0
        self._obtained: float | None = None
        self._lifetime: float | None = None

    @property
    def renews(self) -> bool:
        """Whether newer tokens can be had."""
        return callable(self._source)

    @property
    def present(self) -> bool:
        """Whether there is any token, or a source of tokens."""
        return self._source is not None

    async def get(self, reason: TokenReason) -> str | None:
        """A token; None where there is none. Callers at the same time share one request.

        Raises:
            TokenFailed: there is none at the moment.
            UnauthorizedError: no user is logged in.
        """
        if not callable(self._source):
            return self._source
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch(self._source, reason))
            self._flight.add_done_callback(self._landed)
        return await asyncio.shield(self._flight)

    def refresh_due(self) -> float:
        """Seconds until a newer token should be asked for, once the gateway announces that one is needed.

        A token that lives for two minutes and more is renewed at once. One that lives shorter is
        announced to run out as soon as it is given: it is renewed after half of its life.
        """
        if self._obtained is None or self._lifetime is None or self._lifetime >= 120:  # noqa: PLR2004
            return 0.0
        return max(0.0, self._obtained + self._lifetime / 2 - self._clock.monotonic())

    async def close(self) -> None:
        """Cancel a request in progress."""
        flight = self._flight
        if flight is not None:
            flight.cancel()
            await asyncio.gather(flight, return_exceptions=True)

    def _landed(self, flight: asyncio.Task[str]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # without a caller left, asyncio would log a warning

    async def _fetch(self, source: GetToken, reason: TokenReason) -> str:
        try:
            async with time_limit(self._clock, self._limit):
                given = source(reason) if self._takes_reason else source()
                token = await given if inspect.isawaitable(given) else given
        except UnauthorizedError:
            raise
        except TimeoutError:
            raise TokenFailed(f"{self._name} did not answer within {self._limit:g} s") from None
        except Exception as error:
            raise TokenFailed(f"{self._name} failed: {type(error).__name__}") from error
        return self._accepted(token)

    def _accepted(self, token: Any) -> str:
        if (
            not isinstance(token, str)
            or not token.isascii()
            or not token.isprintable()
            or not token
        ):
            raise TokenFailed(f"{self._name} returned no usable text")
        claims = _claims(token)
        issued, expires = _number(claims, "iat"), _number(claims, "exp")
        if issued is not None:
            if issued < self._newest:
                raise TokenFailed(f"{self._name} returned an older token than before")
            self._newest = issued
        self._lifetime = None if issued is None or expires is None else expires - issued
        self._obtained = self._clock.monotonic()
        return token


def _takes_argument(source: Callable[..., Any]) -> bool:
    try:
        inspect.signature(source).bind("connect")
    except TypeError:
        return False
    except ValueError:
        return True  # a function of C without a signature
    return True


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unverified; none for any other token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return {}
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _number(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
