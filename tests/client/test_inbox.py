import asyncio

import pytest

from portward.client.errors import Ended
from portward.client.events import TokenExpiring
from portward.client.inbox import Inbox

EVENTS = [TokenExpiring(expires_at=float(n)) for n in range(4)]


async def test_events_keep_their_order() -> None:
    """Events come out as they went in."""
    inbox = Inbox(10)
    for event in EVENTS:
        inbox.put(event)
    assert [await inbox.get() for _ in EVENTS] == EVENTS


async def test_reader_waits_for_an_event() -> None:
    """Who takes from an empty inbox waits for the next event."""
    inbox = Inbox(10)
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.put(EVENTS[0])
    assert await taking == EVENTS[0]


async def test_end_comes_after_what_is_there() -> None:
    """The end is seen once everything was taken, and stays."""
    inbox = Inbox(10)
    inbox.put(EVENTS[0])
    inbox.end(None)
    inbox.end(Ended(1, "too late"))
    assert [await inbox.get(), await inbox.get(), await inbox.get()] == [EVENTS[0], None, None]


async def test_error_ends_it() -> None:
    """An error is raised to whoever waits, and to whoever asks later."""
    inbox = Inbox(10)
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.end(Ended(3503, "force disconnect"))
    with pytest.raises(Ended):
        await taking
    with pytest.raises(Ended):
        await inbox.get()


async def test_full_inbox_holds_the_writer() -> None:
    """A full inbox lets no more in until an event was taken."""
    inbox = Inbox(2)
    inbox.put(EVENTS[0])
    await inbox.passable()
    inbox.put(EVENTS[1])
    waiting = asyncio.create_task(inbox.passable())
    await asyncio.sleep(0)
    assert not waiting.done()
    await inbox.get()
    await waiting


async def test_hurry_lets_everything_in() -> None:
    """While an answer is waited for, a full inbox holds nobody."""
    inbox = Inbox(1)
    inbox.put(EVENTS[0])
    waiting = asyncio.create_task(inbox.passable())
    await asyncio.sleep(0)
    with inbox.hurry():
        await waiting
    again = asyncio.create_task(inbox.passable())
    await asyncio.sleep(0)
    assert not again.done()
    inbox.end(None)
    await again
