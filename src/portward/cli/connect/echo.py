"""The echo protocol at the terminal: lines are sent unchanged, and the answers are shown."""

from portward.cli.connect.loop import TerminalProtocol
from portward.cli.connect.options import ConnectOptions
from portward.cli.connect.screen import Screen
from portward.client.transport import ClientTransport, Payload


class TerminalEcho(TerminalProtocol):
    """One connection without reconnects: it tests whether a connection is possible."""

    def __init__(self, transport: ClientTransport, screen: Screen) -> None:
        super().__init__(screen)
        self._transport = transport
        self._unanswered = 0

    async def receive(self) -> Payload:
        """Wait for a message."""
        return await self._transport.receive()

    async def show(self, message: Payload) -> None:
        """Show a message."""
        self.screen.payload(message)
        self._unanswered -= 1

    async def send(self, line: str) -> bool:
        """Send a line."""
        self._unanswered += 1
        await self._transport.send(line)
        return True

    @property
    def waiting(self) -> bool:
        """Whether lines have not come back yet."""
        return self._unanswered > 0

    async def leave(self) -> None:
        """Show how many lines did not come back."""
        if self.waiting:
            self.screen.bad(f"{self._unanswered} lines did not come back")

    async def close(self) -> None:
        """Close."""
        await self._transport.close()


async def open_echo(options: ConnectOptions, screen: Screen) -> TerminalEcho:
    """Connect, with the token in the handshake."""
    token = await options.current_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = await options.dial(options.url, headers)
    screen.note("connected")
    return TerminalEcho(transport, screen)
