"""A network between real clients and a gateway: TCP connections passed on, which a test can break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Network:
    """Connections to one address. While it is not `up` each attempt is reset.

    What is sent arrives `delay` seconds later.
    """

    def __init__(self, host: str, port: int, delay: float) -> None:
        self._host = host
        self._port = port
        self._delay = delay
        self._open: set[asyncio.StreamWriter] = set()
        self.up = True
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, both ways, until either side leaves."""
        if not self.up:
            writer.transport.abort()
            return
        with suppress(OSError):
            there, back = await asyncio.open_connection(self._host, self._port)
            both = {writer, back}
            self._open |= both
            try:
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            finally:
                self._open -= both
                for each in both:
                    each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()
            await asyncio.sleep(self._delay)
            writer.write_eof()

    def fail(self) -> None:
        """Reset every connection there is, and those to come."""
        self.up = False
        for each in list(self._open):
            each.transport.abort()


@asynccontextmanager
async def network(address: str, delay: float = 0.0) -> AsyncIterator[Network]:
    """A network in front of `host:port`."""
    host, _, port = address.rpartition(":")
    between = Network(host, int(port), delay)
    server = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        server.close()
        between.fail()
        await asyncio.sleep(0)
