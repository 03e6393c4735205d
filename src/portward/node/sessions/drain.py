"""Drain of a node: announce the shutdown, close connections in random groups, abort the rest."""

import asyncio
from collections.abc import Iterable
from functools import partial
from random import Random
from typing import Final

from portward.model.clock import Clock
from portward.model.disconnects import Disconnect
from portward.model.replies import ShuttingDown
from portward.node.sessions.session import Session

SPREAD: Final = 0.6
"""Share of the drain time over which connections are closed; the rest is for the peers' close frames."""
STEP: Final = 0.05


class Drain:
    """One drain of a node. A connection with a running handler stays open until it ends or the deadline.

    `seconds` is the time to the deadline, at which `finished` is set in any case.
    """

    def __init__(
        self, sessions: Iterable[Session], clock: Clock, seconds: float, finished: asyncio.Event
    ) -> None:
        everyone = list(sessions)
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._random.shuffle(everyone)
        self._sessions = everyone
        self._left: list[Session] = []
        self._clock = clock
        self._seconds = seconds
        self._size = 1
        self._closing = False
        self._deadline = clock.monotonic() + seconds
        self._finished = finished

    def begin(self) -> None:
        """Notify all sessions and start closing; endpoints with a `farewell` time close after it."""
        waves: dict[float, list[Session]] = {0.0: []}
        for session in self._sessions:
            self._notify(session)
            farewell = min(session.endpoint.rules.farewell, self._seconds * SPREAD)
            waves.setdefault(farewell, []).append(session)
        self._clock.call_later(self._seconds, self._abort)
        self._close(waves.pop(0.0))
        for farewell, wave in waves.items():
            self._clock.call_later(farewell, partial(self._close, wave))

    def _notify(self, session: Session) -> None:
        spread = self._random.uniform(0.5, 1.5) * max(self._seconds, 1.0)
        address = session.endpoint.rules.reconnect_url or session.handshake.url
        if session.protocol.announces:  # else only the last push advises it
            session.advised = self._deadline + spread  # beyond every close of the drain
        session.push(ShuttingDown(retry=int(spread * 1000), address=address))

    def _close(self, wave: list[Session]) -> None:
        self._left += wave
        # As many per step as are needed to close all within the first `SPREAD` of the time left.
        left = self._deadline - self._clock.monotonic()
        self._size = max(1, round(len(self._left) * STEP / max(STEP, left * SPREAD)))
        if not self._closing:
            self._slice()

    def _slice(self) -> None:
        batch, self._left = self._left[: self._size], self._left[self._size :]
        for session in batch:
            if session.task is None:
                session.end(Disconnect.SHUTDOWN, "drain")
            else:
                self._left.append(session)
        self._closing = bool(self._left)
        if self._left:
            self._clock.call_later(STEP, self._slice)

    def _abort(self) -> None:
        for session in self._sessions:
            session.end(Disconnect.SHUTDOWN, "drain deadline")
            session.transport.abort()
        self._sessions = self._left = []
        self._finished.set()
