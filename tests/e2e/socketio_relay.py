"""A network between real clients and a gateway: TCP connections passed on, which a test can break."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Network:
    """Connections to one address. While it is not `up` each attempt is reset."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
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
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                self._open -= both
                for each in both:
                    each.transport.abort()

    def fail(self) -> None:
        """Reset every connection there is, and those to come."""
        self.up = False
        for each in list(self._open):
            each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@asynccontextmanager
async def network(address: str) -> AsyncIterator[Network]:
    """A network in front of `host:port`."""
    host, _, port = address.rpartition(":")
    between = Network(host, int(port))
    server = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        server.close()
        between.fail()
        await asyncio.sleep(0)
