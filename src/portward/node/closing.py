"""A session whose peer has closed: what came before the close is handled first."""

from collections.abc import Callable


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
