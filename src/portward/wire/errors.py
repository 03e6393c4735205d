"""What can be wrong with the bytes of a connection once it speaks WebSocket."""

from portward.model.disconnects import Disconnect


class WireFault(Exception):  # noqa: N818 - the peer broke the protocol: not an error of the program
    """The connection must end with `ending`. `cause` is for the log, without the peer's words."""

    def __init__(self, ending: Disconnect, cause: str) -> None:
        super().__init__(cause)
        self.ending = ending
        self.cause = cause
