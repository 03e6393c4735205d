import asyncio

import pytest

from portward.demo.upstream_peer import Naps
from portward.testing.clock import FakeClock
from tests.demo.upstreams import talk, until, upstream


async def test_whole_talk() -> None:
    """A session over a connection: an update, a question, an answer, and the next one."""
    async with upstream() as (made, _), talk(made) as talking:
        text = {"type": "realtime", "output_modalities": ["text"]}
        await talking.say("session.update", session=text)
        await talking.hear("session.updated")
        await talking.tell("Hello!")
        for _ in range(2):
            done = (await talking.ask())[-1]["response"]
            assert done["status"] == "completed"
        await talking.say("nonsense")
        await talking.refused("invalid_value", "type")


async def test_binary() -> None:
    """The real one takes text only, and so does this."""
    async with upstream() as (made, _), talk(made) as talking:
        await talking.socket.send(b'{"type":"input_audio_buffer.clear"}')
        await talking.refused("invalid_json")


async def test_every_event_has_an_id() -> None:
    """No two events have the same id."""
    async with upstream() as (made, _), talk(made) as talking:
        events = await talking.ask()
        assert len({event["event_id"] for event in events}) == len(events)


async def test_cancelling_wakes() -> None:
    """A response that waits for its pace is cancelled at once."""
    async with upstream() as (made, clock), talk(made) as talking:
        made.pace = 60.0
        await talking.say("response.create")
        await talking.hear("response.created")
        await until(lambda: clock.pending == 1)
        await talking.say("response.cancel")
        await talking.hear("rate_limits.updated")
        made.pace = 0.0
        await until(lambda: clock.pending == 1)
        clock.advance(60.0)
        done = (await talking.until("response.done"))[-1]["response"]
        assert (done["status"], done["usage"]["output_tokens"]) == ("cancelled", 0)


async def test_response_of_who_left() -> None:
    """A response ends with its connection."""
    async with upstream() as (made, clock):
        async with talk(made) as talking:
            made.pace = 60.0
            await talking.say("response.create")
            await talking.hear("response.created")
            await until(lambda: clock.pending == 1)
        await until(lambda: made.open == 0)
        await until(lambda: clock.pending == 0)


async def test_naps() -> None:
    """A nap lasts its time by the clock, or until it is ended, and leaves nothing behind."""
    clock = FakeClock()
    naps = Naps(clock)
    await naps.nap(0.0)
    one = asyncio.ensure_future(naps.nap(5.0))
    other = asyncio.ensure_future(naps.nap(9.0))
    await asyncio.sleep(0)
    clock.advance(5.0)
    await one
    assert not other.done()
    naps.wake()
    naps.wake()
    clock.advance(9.0)
    await other
    given_up = asyncio.ensure_future(naps.nap(9.0))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert clock.pending == 0
