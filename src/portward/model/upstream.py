"""Errors of upstream connections, shared by the relay and the upstream client."""


class UpstreamClosed(Exception):  # noqa: N818 - a state of the world, not an error of the program
    """The upstream closed with `code`; None when the connection was lost without a close frame.

    `reason` is the text of the upstream, safe for the log: without keys, tokens and quoted content.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
