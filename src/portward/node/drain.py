"""Leaving politely: tell everyone when to come back, close in random slices, abort the stragglers."""

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Final

from portward.model.clock import Clock
from portward.model.endings import Ending
from portward.model.replies import ShuttingDown
from portward.node.session import Session

SPREAD: Final = 0.6
"""The part of the drain time over which connections are closed; the rest is for their answers."""
STEP: Final = 0.05


class Drain:
    """One drain of a node. A connection whose handler is at work waits for it until the deadline.

    `finished` is set by the node when the last connection is gone, at the latest at the deadline.
    """

    def __init__(self, sessions: Iterable[Session], clock: Clock, seconds: float) -> None:
        self._left = list(sessions)
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._random.shuffle(self._left)
        self._clock = clock
        self._seconds = seconds
        self._links = [session.link for session in self._left]
        self.finished = asyncio.Event()

    def begin(self) -> None:
        """Tell everyone, and start to close."""
        for session in self._left:
            spread = self._random.uniform(0.5, 1.5) * max(self._seconds, 1.0)
            session.say(ShuttingDown(retry=int(spread * 1000)))
        self._size = max(1, round(len(self._left) * STEP / max(STEP, self._seconds * SPREAD)))
        self._clock.call_later(self._seconds, self._abort)
        self._slice()

    def _slice(self) -> None:
        batch, self._left = self._left[: self._size], self._left[self._size :]
        for session in batch:
            if session.task is None:
                session.end(Ending.SHUTDOWN, "drain")
            else:
                self._left.append(session)
        if self._left:
            self._clock.call_later(STEP, self._slice)

    def _abort(self) -> None:
        for session in self._left:
            session.end(Ending.SHUTDOWN, "drain deadline")
        for link in self._links:
            link.abort()
        self._left = []
        self.finished.set()
