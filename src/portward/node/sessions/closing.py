"""The close of a connection: by the peer, and with the advice when to reconnect."""

import random
from collections.abc import Callable
from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.replies import Parting

RETRY: Final = 1000
"""Milliseconds after which to reconnect, on average."""
_LONGER: Final = {Disconnect.TOO_MANY_REQUESTS: 5000}
_ADVISED: Final = frozenset({Disconnect.TOO_MANY_REQUESTS, Disconnect.SHUTDOWN})
"""Disconnects for which an earlier advice counts."""


def parting(ending: Disconnect, wait: float) -> Parting:
    """Return the last push of a connection, with a random reconnect time in milliseconds.

    `wait` is the remaining time, in seconds, of an earlier advice to the client: by a limit or a drain.
    """
    if not ending.reconnect:
        return Parting(ending=ending)
    told = ending is Disconnect.SHUTDOWN and wait > 0
    spread = random.uniform(0.5, 1.5)  # noqa: S311 - spreads load
    retry = 0 if told else int(_LONGER.get(ending, RETRY) * spread)
    if ending in _ADVISED:
        retry = max(retry, int(wait * 1000))
    return Parting(ending=ending, retry=retry, told=told)


class PeerClose:
    """The close of the peer, handled after the messages that came before it.

    At `deadline` (monotonic seconds) it waits no longer. `then` ends the connection; it is None after
    the call.
    """

    __slots__ = ("deadline", "then")

    def __init__(self, deadline: float, then: Callable[[], object]) -> None:
        self.deadline = deadline
        self.then: Callable[[], object] | None = then

    def over(self) -> bool:
        """Call `then` once. Return False when it was called before."""
        then, self.then = self.then, None
        if then is None:
            return False
        then()
        return True
