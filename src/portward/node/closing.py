"""Ends of connections: of a peer that closes, and of clients that may come back."""

import random
from collections.abc import Callable
from typing import Final

from portward.model.endings import Ending

RETRY: Final = 1000
"""Milliseconds after which to come back, on average."""
_LONGER: Final = {Ending.TOO_MANY_REQUESTS: 5000}


def retry_after(ending: Ending) -> int | None:
    """After how many milliseconds a client may come back, another number for each; None when it may not."""
    if not ending.reconnect:
        return None
    return int(_LONGER.get(ending, RETRY) * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load


class PeerClose:
    """The close of the peer, which waits behind the messages that came before it.

    At `deadline` (monotonic seconds) it waits no longer. `then` ends the connection; it is None once
    that was called.
    """

    __slots__ = ("deadline", "then")

    def __init__(self, deadline: float, then: Callable[[], object]) -> None:
        self.deadline = deadline
        self.then: Callable[[], object] | None = then

    def over(self) -> bool:
        """Call `then`, unless it was called before. False when it was."""
        then, self.then = self.then, None
        if then is None:
            return False
        then()
        return True
