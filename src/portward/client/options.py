"""The options and the states of a connection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from portward.client.backoff import Backoff
from portward.client.clock import SystemClock
from portward.client.errors import ClientError
from portward.client.outgoing import QueueLimits
from portward.client.transport import Dial, WebSocketDialer
from portward.model.clock import Clock

ConnectionState = Literal["idle", "connecting", "ready", "waiting", "stopped", "closed"]


class StateChange(NamedTuple):
    """A new state of a connection: the reason, and in `waiting` the seconds until the next attempt."""

    state: ConnectionState
    error: ClientError | None = None
    retry_in: float | None = None


@dataclass(frozen=True)
class ConnectionOptions:
    """How to connect. `timeout` bounds an answer; `queue` what waits to be sent.

    Without `reconnect` the first end of a connection is the last. Without `retry_first` a first
    attempt that fails is the last. `clock`, `dial` and the draw of `backoff` are for tests.
    """

    dial: Dial = field(default_factory=WebSocketDialer)
    clock: Clock = field(default_factory=SystemClock)
    backoff: Backoff = field(default_factory=Backoff)
    timeout: float = 10.0
    queue: QueueLimits = field(default_factory=QueueLimits)
    reconnect: bool = True
    retry_first: bool = True
    sleep: Callable[[float], Awaitable[None]] | None = None
    """Waits between attempts, in place of the clock."""
