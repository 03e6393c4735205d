from collections.abc import AsyncIterator

import pytest

from portward.transports.websocket import WebSocketTransport
from portward.wire import message
from tests.transports.house import TEXT, House, handshake, masked, open_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A listener on plain TCP."""
    async with open_house() as opened:
        yield opened


async def test_a_session_may_greet_while_it_is_opened(house: House) -> None:
    """The first message follows the 101, and early frames are served after it."""
    house.gate.on_open = lambda session: session.link.write(message.text(b"welcome"))
    client = await house.client()
    await client.send(handshake() + masked(TEXT, b"early"))
    await client.head()

    assert await client.frame() == (0x81, b"welcome")


async def test_the_link_is_made_for_what_was_agreed(house: House) -> None:
    """Compression, the endpoint's limit and the descriptor of the socket."""
    house.gate.options = {"compression": True, "max_message": 5000}
    _, session = await house.enter(
        Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"
    )
    link = session.link

    assert isinstance(link, WebSocketTransport)
    assert link.compression
    assert link._descriptor == link._transport.get_extra_info("socket").fileno()
    assert link._assembler.limit == 5000
