"""What the relay and its client of the upstream agree on."""


class UpstreamClosed(Exception):  # noqa: N818 - a state of the world, not an error of the program
    """The upstream closed with `code`; None when it was lost without a close frame.

    `reason` is the upstream's text, fit for the log: without keys, tokens and quoted content.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
