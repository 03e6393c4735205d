"""The number of repetitions of a call, and the waits between them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from portward.client.backoff import Backoff
from portward.client.publisher.errors import PublisherError


@dataclass(frozen=True, slots=True)
class Retries:
    """Full jitter: the wait before repetition n is anything up to `first * 2**n`, at most `longest`.

    A wait that the server names is kept, and a random part is added. A call is made `attempts` times at
    most, and no wait begins that would end after `within` seconds. Times are seconds; `attempts=1`
    repeats nothing.
    """

    attempts: int = 6
    first: float = 0.25
    longest: float = 5.0
    within: float = 30.0
    draw: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic


class Attempts:
    """The attempts of one call."""

    __slots__ = ("_backoff", "_began", "_failed", "_retries")

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._backoff = Backoff(retries.first, retries.longest, retries.draw)
        self._began = retries.clock()
        self._failed = 0

    def wait(self, error: PublisherError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            PublisherError: there is none: `error` lasts, or attempts or time are used up.
        """
        retries = self._retries
        self._failed += 1
        if not error.temporary or self._failed >= retries.attempts:
            raise error
        wait = self._backoff.wait(self._failed - 1, error.retry_after)
        if retries.clock() - self._began + wait > retries.within:
            raise error
        return wait
