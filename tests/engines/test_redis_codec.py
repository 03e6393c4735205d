"""Values in the store and on the bus are read by schema, and waiting is bounded."""

import asyncio

import pytest

from portward.engines import json_codec
from portward.engines.port import EngineUnavailable
from portward.engines.redis import codec
from portward.engines.redis.commands import together
from portward.engines.redis.timeouts import bound, pause, wake
from portward.model.channel import Channel
from portward.model.publication import Draft
from portward.testing.clock import FakeClock


def test_what_is_no_json_is_not_written() -> None:
    """Only JSON values can be kept."""
    with pytest.raises(TypeError):
        codec.keep(Draft(id="x", time=1, data=object()))


@pytest.mark.parametrize("channel", ["5", '"no channel"', "null", "[]"])
def test_channels_are_checked(channel: str) -> None:
    """What stands where a channel should is read by the grammar of channels."""
    with pytest.raises(json_codec.MALFORMED):
        json_codec.decoder(Channel).decode(channel)


def test_defaults_are_not_kept() -> None:
    """A publication takes no more room than it says."""
    kept = codec.keep(Draft(id="x", time=1, data=None))
    assert kept == b'{"id":"x","time":1,"data":null}'
    assert codec.publication(3, kept).offset == 3


async def test_pauses_follow_the_clock() -> None:
    """A pause ends with the injected time, or when it is ended, and can be ended twice."""
    clock = FakeClock()
    first, second = pause(clock, 10.0), pause(clock, 10.0)
    wake(second)
    wake(second)
    await second
    assert not first.done()
    clock.advance(10.0)
    await first
    assert clock.pending == 0


async def test_waiting_is_bounded() -> None:
    """A future that nobody ends gets its outcome in time; one that was ended keeps its own."""
    loop = asyncio.get_running_loop()
    plain: asyncio.Future[None] = loop.create_future()
    bound(plain, 0.0, None)
    await plain
    failing: asyncio.Future[None] = loop.create_future()
    bound(failing, 0.0, EngineUnavailable("late"))
    with pytest.raises(EngineUnavailable, match="late"):
        await failing
    ended: asyncio.Future[None] = loop.create_future()
    bound(ended, 0.0, EngineUnavailable("late"))
    ended.set_result(None)
    await asyncio.sleep(0)
    await ended


async def test_one_failure_stops_nothing_else() -> None:
    """Of many commands all are given, whichever fails; then the failure is told."""
    given: list[int] = []

    async def command(number: int) -> int:
        given.append(number)
        if number == 3:
            raise EngineUnavailable("no")
        return number

    with pytest.raises(EngineUnavailable):
        await together([command(number) for number in range(600)])
    assert len(given) == 600
    assert await together([command(number) for number in range(3)]) == [0, 1, 2]
