from collections.abc import AsyncIterator

import pytest

from portward.transports.websocket import WebSocketTransport
from portward.wire import message
from tests.transports.running_listener import TEXT, RunningListener, handshake, masked, run_listener


@pytest.fixture
async def running() -> AsyncIterator[RunningListener]:
    """A listener on plain TCP."""
    async with run_listener() as opened:
        yield opened


async def test_a_session_may_greet_while_it_is_opened(running: RunningListener) -> None:
    """The first message follows the 101, and early frames are served after it."""
    running.gate.on_open = lambda session: session.link.write(message.text(b"welcome"))
    client = await running.client()
    await client.send(handshake() + masked(TEXT, b"early"))
    await client.head()

    assert await client.frame() == (0x81, b"welcome")


async def test_the_link_is_made_for_what_was_agreed(running: RunningListener) -> None:
    """Compression, the endpoint's limit and the descriptor of the socket."""
    running.gate.options = {"compression": True, "max_message": 5000}
    _, session = await running.enter(
        Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"
    )
    link = session.link

    assert isinstance(link, WebSocketTransport)
    assert link.compression
    assert link._descriptor == link._transport.get_extra_info("socket").fileno()
    assert link._assembler.limit == 5000
