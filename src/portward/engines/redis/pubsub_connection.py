"""One Pub/Sub connection that reconnects until it has no names.

It connects, subscribes and reads; when it is lost, or nothing was received for too long, it does all of
that again after a pause. So that something arrives, it has a probe sent to itself over the command
connection: what arrives has come the same way as publications. A killed connection, an overrun output
buffer of the server, a network that drops everything and a replaced primary are all handled this way.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Broken

from portward.engines.redis.connect import TROUBLE, close_connection
from portward.engines.redis.options import Timing
from portward.engines.redis.timeouts import pause
from portward.model.clock import Clock

_FIRST_PAUSE: Final = 0.05


class PubSubListener(Protocol):
    """Receiver of a connection's messages and events."""

    def on_message(self, name: bytes, payload: bytes) -> None:
        """Handle a message. Never raises."""

    def on_confirmed(self, connection: "PubSubConnection", name: str) -> None:
        """Handle that `name` is subscribed."""

    async def on_lost(self, connection: "PubSubConnection") -> None:
        """Handle a lost connection; its names may belong to other servers now."""

    def probe_name(self, connection: "PubSubConnection") -> None:
        """Send a probe to `connection.canary`: it is due."""


class PubSubConnection:
    """Subscribes to `names`. `missed` is set while messages may have been lost and that is not reported."""

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
        self.probe = ""
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

    # -- subscriptions

    def add(self, name: str) -> None:
        """Subscribe to a name; `on_confirmed` is called when that is done."""
        self.names[name] = None
        self.pending.add(name)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif self._connection is not None:
            self._write(self._subscribe, name)

    def remove(self, name: str) -> None:
        """Unsubscribe from a name."""
        self.names.pop(name, None)
        self.pending.discard(name)
        if self._connection is not None:
            self._write(self._unsubscribe, name)

    def is_subscribed(self, name: str) -> bool:
        """Whether messages at `name` are certain to arrive."""
        return self._connection is not None and name in self.names and name not in self.pending

    def drop(self) -> None:
        """Close the connection and connect again."""
        if self._life is not None:
            self._life.cancel()

    async def close(self) -> None:
        """Stop."""
        self.names.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    @property
    def over(self) -> bool:
        """Whether it has ended, because it had no names any more."""
        return self._task is None or self._task.done()

    # -- connecting

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
        """Send probes until the connection is lost or must be treated as lost."""
        self._heard_at = self._clock.monotonic()
        while not life.done():
            turn = pause(self._clock, self._timing.pubsub_probe)
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
                await close_connection(connection)
        except TROUBLE:
            pass
        finally:
            self.missed = self.missed or self.pending != self.names.keys()
            self.pending = set(self.names)

    def _begin(self) -> None:
        self.pending = set(self.names)
        for name in (*self.names, self.probe):
            self._write(self._subscribe, name)

    # -- writing and reading

    def _write(self, word: str, name: str) -> None:
        # One name per command: in a cluster, two names may be on two servers.
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
            # Reading fails for the same reason.
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
            # The server has ended the subscription: the slot moved to another one.
            raise Broken("no longer announced here")

    def _confirm(self, name: str) -> None:
        self._failures = 0
        if name in self.pending:
            self.pending.discard(name)
            self._listener.on_confirmed(self, name)
