"""One connection that listens, for as long as it takes.

It connects, subscribes, reads; when it breaks, or nothing was heard for too long, all of that begins again
after a pause. To have something to hear, it announces a canary to itself by way of the commands: what
comes back has come the whole way that publications come. Whatever it is: a killed connection, an
overrun buffer of the server, a network that swallows everything, a primary that was replaced, the same
path leads out of it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Broken

from portward.engines.redis.connect import TROUBLE, hang_up
from portward.engines.redis.options import Timing
from portward.engines.redis.timeouts import pause
from portward.model.clock import Clock

_FIRST_PAUSE: Final = 0.05


class PubSubListener(Protocol):
    """Who is told what an ear hears."""

    def on_message(self, name: bytes, payload: bytes) -> None:
        """Something was announced. Never raises."""

    def on_confirmed(self, ear: "PubSubConnection", name: str) -> None:
        """From now on `name` is heard."""

    async def on_lost(self, ear: "PubSubConnection") -> None:
        """The connection is lost; what it heard may belong elsewhere now."""

    def probe_name(self, ear: "PubSubConnection") -> None:
        """It is time to announce something to `ear.canary`."""


class PubSubConnection:
    """Listens to `names`. `missed` is set while announcements may have been lost and nobody was told."""

    def __init__(
        self,
        dial: Callable[[], Awaitable[Connection]],
        words: tuple[str, str],
        listener: PubSubListener,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self.names: dict[str, None] = {}
        self.pending: set[str] = set()
        self.missed = False
        self.canary = ""
        self._dial = dial
        self._subscribe, self._unsubscribe = words
        self._listener = listener
        self._timing = timing
        self._clock = clock
        self._connection: Connection | None = None
        self._outgoing: list[tuple[str, str]] = []
        self._sender: asyncio.Task[None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self._failures = 0
        self._random = random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._task: asyncio.Task[None] | None = None

    # -- what it listens to

    def add(self, name: str) -> None:
        """Listen to a name; `confirmed` is told when it is so."""
        self.names[name] = None
        self.pending.add(name)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif self._connection is not None:
            self._write(self._subscribe, name)

    def remove(self, name: str) -> None:
        """Listen to it no longer."""
        self.names.pop(name, None)
        self.pending.discard(name)
        if self._connection is not None:
            self._write(self._unsubscribe, name)

    def is_subscribed(self, name: str) -> bool:
        """Whether it is sure that what is announced at `name` arrives."""
        return self._connection is not None and name in self.names and name not in self.pending

    def drop(self) -> None:
        """Give the connection up and begin again."""
        if self._life is not None:
            self._life.cancel()

    async def close(self) -> None:
        """End."""
        self.names.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    @property
    def over(self) -> bool:
        """Whether it has come to its end: nobody had a name for it to listen to any more."""
        return self._task is None or self._task.done()

    # -- its life

    async def _run(self) -> None:
        while self.names:
            self._life = asyncio.get_running_loop().create_task(self._listen())
            try:
                await self._watch(self._life)
            finally:
                self._life.cancel()
                await asyncio.wait((self._life,))
            with suppress(*TROUBLE):
                await self._listener.on_lost(self)
            most = min(self._timing.pause, _FIRST_PAUSE * 2.0 ** min(self._failures, 10))
            self._failures += 1
            await pause(self._clock, self._random.uniform(most / 2, most))

    async def _watch(self, life: "asyncio.Task[None]") -> None:
        """Send canaries until the connection is lost or must be taken for dead."""
        self._heard_at = self._clock.monotonic()
        while not life.done():
            turn = pause(self._clock, self._timing.canary)
            try:
                await asyncio.wait((life, turn), return_when=asyncio.FIRST_COMPLETED)
            finally:
                turn.cancel()
            if self._clock.monotonic() - self._heard_at > self._timing.silence:
                return
            if self._connection is not None and not life.done():
                self._listener.probe_name(self)

    async def _listen(self) -> None:
        try:
            connection = await self._dial()
            try:
                self._connection = connection
                self._begin()
                while True:
                    self._take(await connection.read_response(disconnect_on_error=False))
            finally:
                self._connection = None
                await self._stop_sender()
                await hang_up(connection)
        except TROUBLE:
            pass
        finally:
            self.missed = self.missed or self.pending != self.names.keys()
            self.pending = set(self.names)

    def _begin(self) -> None:
        self.pending = set(self.names)
        for name in (*self.names, self.canary):
            self._write(self._subscribe, name)

    # -- talking and hearing

    def _write(self, word: str, name: str) -> None:
        # One name a command: of two names a cluster may have one here and one elsewhere.
        self._outgoing.append((word, name))
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._outgoing and self._connection is not None:
                commands, self._outgoing = self._outgoing, []
                packed = self._connection.pack_commands(commands)
                await self._connection.send_packed_command(packed, check_health=False)
        except TROUBLE:
            # The reading end notices the same.
            pass
        finally:
            self._sender = None

    async def _stop_sender(self) -> None:
        sender = self._sender
        if sender is not None:
            sender.cancel()
            await asyncio.wait((sender,))
        self._sender = None
        self._outgoing.clear()

    def _take(self, news: Any) -> None:
        self._heard_at = self._clock.monotonic()
        kind, name, payload = news
        if kind in {b"message", b"smessage"}:
            self._listener.on_message(name, payload)
        elif kind in {b"subscribe", b"ssubscribe"}:
            self._confirm(name.decode())
        elif self.is_subscribed(name.decode()):
            # The server has taken it away: its slot moved to another one.
            raise Broken("no longer announced here")

    def _confirm(self, name: str) -> None:
        self._failures = 0
        if name in self.pending:
            self.pending.discard(name)
            self._listener.on_confirmed(self, name)
