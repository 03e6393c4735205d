"""When an upstream counts as lost: not while it sends anything, whatever that is."""

import asyncio

import pytest

from portward.protocols.relay import upstream_link
from tests.protocols.relay.upstream.test_upstream_link import TEXT, ending, idle, receive_for_ever
from tests.protocols.relay.upstream.upstreams import MODEL, accepted, client, frame, linked, raw


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is judged within parts of a second."""
    monkeypatch.setattr(upstream_link, "PING", 0.2)
    monkeypatch.setattr(upstream_link, "PONG", 0.4)


SIGNS = {
    "text": frame(TEXT, b"{}"),
    "ping": frame(0x89),
    "a piece of a message": frame(0x01, b"{}"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
async def test_any_frame_is_a_sign_of_life(sign: bytes) -> None:
    """An upstream that answers no ping is kept for as long as it sends something."""
    async with raw(accepted) as server:
        link = await client(server.url).open(MODEL)
        receiving = asyncio.ensure_future(receive_for_ever(link))
        loop = asyncio.get_running_loop()
        until_then = loop.time() + 1.0
        rest = b"" if sign != SIGNS["a piece of a message"] else frame(0x00, b"{}")
        server.writers[0].write(sign)
        while loop.time() < until_then:
            server.writers[0].write(rest or sign)
            await asyncio.sleep(0.01)
        assert not receiving.done()
        receiving.cancel()
        link.drop()


@pytest.mark.usefixtures("impatient")
async def test_an_upstream_that_is_silent_is_lost() -> None:
    """One that answers no ping and sends nothing is dropped."""
    async with raw(accepted) as server:
        link = await client(server.url).open(MODEL)
        async with asyncio.timeout(10):
            assert await ending(link) is None
            await server.gone.wait()


@pytest.mark.usefixtures("impatient")
async def test_an_upstream_that_answers_pings_is_kept() -> None:
    """Silence is enough where pings are answered."""
    async with linked(idle) as link:
        receiving = asyncio.ensure_future(link.receive())
        await asyncio.sleep(1.0)
        assert not receiving.done()
        receiving.cancel()


@pytest.mark.usefixtures("impatient")
async def test_what_is_not_read_is_not_missing() -> None:
    """While nobody receives, the upstream is not judged by what cannot arrive."""
    sent = b"".join(frame(TEXT, b"%d" % number) for number in range(3))
    async with raw(lambda head: accepted(head) + sent) as server:
        link = await client(server.url).open(MODEL)
        await asyncio.sleep(1.0)
        assert await link.receive() == (b"0", False)
        link.drop()
