"""The port of an upstream: one connection to it for each client."""

from typing import Protocol, TypeAlias

Parameters: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values for the query of a URL, not encoded."""


class UpstreamClosed(Exception):  # noqa: N818 - a state of the world, not an error of the program
    """The upstream closed with `code`; None when the connection was lost without a close frame.

    `reason` is the text of the upstream, safe for the log: without keys, tokens and quoted content.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


class UpstreamLink(Protocol):
    """One connection to the upstream. Messages are complete; text is UTF-8."""

    async def send(self, payload: bytes, *, binary: bool) -> None:
        """Send a message; waits while the upstream does not read.

        Raises:
            UpstreamClosed: the connection is closed or lost.
        """

    async def receive(self) -> tuple[bytes, bool]:
        """Return the next message and whether it is binary. Nothing is read before it is requested.

        Raises:
            UpstreamClosed: the connection is closed or lost.
        """

    async def close(self, code: int) -> None:
        """Close with `code`, or abort when the upstream does not answer in time. Never raises."""


class UpstreamPort(Protocol):
    """Opens connections to the upstream with its key, which clients never get."""

    async def open(
        self, model: str, parameters: Parameters = (), *, named: bool = True
    ) -> UpstreamLink:
        """Connect for one client, with `parameters` added to the URL.

        When `named` is False (no client chose the model) and the model is a URL parameter, it is left out.

        Raises:
            Unavailable: it rejects the connection or is unreachable; the text is for the log, without
                secrets.
        """
