"""Errors in the bytes of a WebSocket connection."""

from portward.model.disconnects import Disconnect


class WireFault(Exception):  # noqa: N818 - the peer broke the protocol: not an error of the program
    """The connection must end with the disconnect `ending`. `cause` is for the log, without peer text."""

    def __init__(self, ending: Disconnect, cause: str) -> None:
        super().__init__(cause)
        self.ending = ending
        self.cause = cause
