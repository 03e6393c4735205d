"""A peer that closes while its session is at work: answered, then parted from, in order."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portward.wire import message
from tests.transports.running_listener import (
    CLOSE,
    PING,
    TEXT,
    FakeSession,
    RunningListener,
    masked,
    run_listener,
    until,
)

NORMAL = masked(CLOSE, b"\x03\xe8")


@pytest.fixture
async def running() -> AsyncIterator[RunningListener]:
    """A listener on plain TCP, whose sessions are busy."""
    async with run_listener() as opened:
        opened.gate.on_open = begin
        yield opened


def begin(session: FakeSession) -> None:
    """Be at work from the start."""
    session.link.authenticated()
    session.busy = True


async def test_a_close_frame_is_answered_once_all_is_handled(running: RunningListener) -> None:
    """Five messages and a close in one segment: the answers come first, then the close frame."""
    client, session = await running.enter()
    await client.send(masked(TEXT, b"x") * 5 + NORMAL)
    await until(lambda: session.parting is not None)
    assert len(session.messages) == 5
    session.link.write(message.text(b"answer"))
    session.handle()
    assert await client.frame() == (0x81, b"answer")
    assert await client.closed() == (1000, "")
    assert await client.rest() == b""
    await until(lambda: session.losses == [1000])


async def test_nothing_is_heard_after_a_close_frame(running: RunningListener) -> None:
    """Frames behind the close frame are ignored while the session is still at work."""
    client, session = await running.enter()
    await client.send(NORMAL + masked(TEXT, b"late") + masked(PING))
    await until(lambda: session.parting is not None)
    await client.send(masked(TEXT, b"later") + NORMAL)
    await asyncio.sleep(0.05)
    session.handle()
    assert await client.closed() == (1000, "")
    assert (session.messages, session.pings, session.failures) == ([], [], [])


async def test_the_end_of_input_waits_too(running: RunningListener) -> None:
    """A peer that only shuts down its side of TCP gets its answers, and then the end."""
    client, session = await running.enter()
    await client.send(masked(TEXT, b"x"))
    client.sock.shutdown(1)
    await until(lambda: session.parting is not None)
    session.link.write(message.text(b"answer"))
    await asyncio.sleep(0.05)
    assert session.losses == []
    session.handle()
    assert await client.frame() == (0x81, b"answer")
    assert await client.rest() == b""
    await until(lambda: session.losses == [None])


async def test_the_end_of_input_behind_a_close_frame(running: RunningListener) -> None:
    """A close frame and the end of the peer's TCP at once: the close is still answered."""
    client, session = await running.enter()
    await client.send(masked(TEXT, b"x") + NORMAL)
    client.sock.shutdown(1)
    await until(lambda: session.parting is not None)
    await asyncio.sleep(0.05)
    session.handle()
    assert await client.closed() == (1000, "")
    assert await client.rest() == b""
    await until(lambda: session.losses == [1000])


async def test_an_idle_session_lets_the_end_of_input_end_it(running: RunningListener) -> None:
    """With nothing at work the connection ends at once."""
    client, session = await running.enter()
    session.busy = False
    client.sock.shutdown(1)
    assert await client.rest() == b""
    await until(lambda: session.losses == [None])


@pytest.mark.parametrize("close", [b"", NORMAL])
async def test_the_gateways_own_close_meanwhile(running: RunningListener, close: bytes) -> None:
    """A session that is ended while it was about to part closes with its own code, and TCP with it."""
    client, session = await running.enter()
    await client.send(masked(TEXT, b"x") + close)
    client.sock.shutdown(1)
    await until(lambda: session.parting is not None)
    session.link.close(3001, "shutdown")
    session.handle()
    assert await client.closed() == (3001, "shutdown")
    assert await client.rest() == b""
    await until(lambda: session.losses == [1000 if close else None])


async def test_an_abort_of_ours_drops_what_was_read(running: RunningListener) -> None:
    """A connection that the gateway drops hears nothing more of what was held back."""
    client, session = await running.enter()
    session.on_message = lambda _: session.link.pause()
    await client.send(masked(TEXT, b"1") + masked(TEXT, b"2") + masked(TEXT, b"3") + NORMAL)
    await until(lambda: session.messages)
    assert len(session.messages) == 1
    session.on_message = None
    session.link.abort()
    await until(lambda: session.losses)
    assert session.messages == [(b"1", False)]


async def test_what_was_read_is_delivered_when_the_connection_breaks(
    running: RunningListener,
) -> None:
    """Frames held back for a busy session reach it before the news that the connection is gone."""
    client, session = await running.enter()
    session.on_message = lambda _: session.link.pause()
    await client.send(masked(TEXT, b"1") + masked(TEXT, b"2") + masked(TEXT, b"3") + NORMAL)
    await until(lambda: session.messages)
    client.reset()
    while not session.losses:
        session.link.write(message.text(b"x"))
        await asyncio.sleep(0.01)
    assert [payload for payload, _ in session.messages] == [b"1", b"2", b"3"]
    assert session.losses == [1000]


async def test_a_session_that_reads_again_comes_to_the_close(running: RunningListener) -> None:
    """A close frame behind frames that were held back waits for them."""
    client, session = await running.enter()
    session.on_message = lambda _: session.link.pause()
    await client.send(masked(TEXT, b"1") + masked(TEXT, b"2") + NORMAL + masked(TEXT, b"late"))
    await until(lambda: session.messages)
    assert len(session.messages) == 1
    session.on_message = None
    session.link.resume()
    assert [payload for payload, _ in session.messages] == [b"1", b"2"]
    assert session.parting is not None
    session.handle()
    assert await client.closed() == (1000, "")
    await until(lambda: session.losses == [1000])
    assert len(session.messages) == 2
