import asyncio
from collections.abc import Callable

import pytest

from portward.identity.provider_responses import ProviderAnswer
from portward.identity.single_flight import KEPT, Recent, SingleFlight
from portward.model.provider import ProviderResult
from portward.testing.clock import FakeClock

YES, NO = ProviderAnswer(ProviderResult.OK), ProviderAnswer(ProviderResult.UNAUTHORIZED)
BRIEF = frozenset({ProviderResult.UNAUTHORIZED})


@pytest.fixture
def clock() -> FakeClock:
    """Time that leaps."""
    return FakeClock()


@pytest.fixture
def shared(clock: FakeClock) -> SingleFlight:
    """A store that has kept nothing yet."""
    return SingleFlight(clock)


def saying(answer: ProviderAnswer) -> Callable[[], asyncio.Future[ProviderAnswer]]:
    """A call that is answered at once."""

    def call() -> asyncio.Future[ProviderAnswer]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(answer)
        return future

    return call


def test_recent_forgets_what_was_not_touched() -> None:
    """What was read or written last stays."""
    recent: Recent[int] = Recent(2)
    recent.put(b"a", 1)
    recent.put(b"b", 2)
    assert recent.get(b"a") == 1
    recent.put(b"c", 3)
    assert [recent.get(key) for key in (b"a", b"b", b"c")] == [1, None, 3]
    recent.put(b"a", 4)
    recent.put(b"d", 5)
    assert recent.get(b"a") == 4
    assert len(recent) == 2


@pytest.mark.parametrize(("answer", "seconds"), [(YES, 10.0), (NO, 2.0)])
async def test_answers_are_kept_for_seconds(
    shared: SingleFlight, clock: FakeClock, answer: ProviderAnswer, seconds: float
) -> None:
    """A yes longer than a no, and neither a moment longer."""
    assert await shared.begin(b"k", saying(answer), BRIEF) == answer
    clock.advance(seconds - 0.1)
    assert shared.cached(b"k") == answer
    assert shared.cached(b"other") is None
    clock.advance(0.1)
    assert shared.cached(b"k") is None


@pytest.mark.parametrize(
    "result", [ProviderResult.ERROR, ProviderResult.TIMEOUT, ProviderResult.MALFORMED]
)
async def test_what_settles_nothing_is_not_kept(
    shared: SingleFlight, result: ProviderResult
) -> None:
    """The next one may ask again at once."""
    await shared.begin(b"k", saying(ProviderAnswer(result)), BRIEF)
    assert shared.cached(b"k") is None


async def test_trouble_can_be_kept_as_briefly_as_a_no(
    shared: SingleFlight, clock: FakeClock
) -> None:
    """Where that is asked for, so as not to ask the same again at once."""
    malformed = ProviderAnswer(ProviderResult.MALFORMED)
    await shared.begin(b"k", saying(malformed), {ProviderResult.MALFORMED})
    clock.advance(1.9)
    assert shared.cached(b"k") == malformed
    clock.advance(0.1)
    assert shared.cached(b"k") is None


async def test_trouble_does_not_replace_an_answer(shared: SingleFlight) -> None:
    """An answer that is still good stays when asking again brought none."""
    await shared.begin(b"k", saying(YES), BRIEF)
    await shared.begin(b"k", saying(ProviderAnswer(ProviderResult.ERROR)), BRIEF)
    assert shared.cached(b"k") == YES


async def test_age_counts_from_the_question(shared: SingleFlight, clock: FakeClock) -> None:
    """An answer that was long in coming is as old as its question."""
    future: asyncio.Future[ProviderAnswer] = asyncio.get_running_loop().create_future()
    call = shared.begin(b"k", lambda: future, BRIEF)
    clock.advance(4)
    assert shared.running(b"k", 3.0) is None
    assert shared.running(b"k", 4.0) is call
    assert shared.running(b"k") is call
    assert shared.running(b"other") is None
    future.set_result(YES)
    await call
    assert shared.cached(b"k", 3.0) is None
    assert shared.cached(b"k", 4.0) == YES
    clock.advance(9)
    assert shared.cached(b"k") == YES


async def test_landed_call_is_joined_no_more(shared: SingleFlight) -> None:
    """A call that is over is not under way."""
    await shared.begin(b"k", saying(YES), BRIEF)
    await asyncio.sleep(0)
    assert shared.running(b"k") is None


async def test_overtaken_call_changes_nothing(shared: SingleFlight, clock: FakeClock) -> None:
    """The answer to the later question stays when that to the earlier one comes after it."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[ProviderAnswer] = loop.create_future()
    second: asyncio.Future[ProviderAnswer] = loop.create_future()
    early = shared.begin(b"k", lambda: first, BRIEF)
    clock.advance(1)
    late = shared.begin(b"k", lambda: second, BRIEF)
    assert shared.running(b"k") is late
    second.set_result(NO)
    await late
    await asyncio.sleep(0)
    first.set_result(YES)
    assert await early == YES
    await asyncio.sleep(0)
    assert shared.cached(b"k") == NO


async def test_early_call_that_lands_first_leaves_the_later_one(
    shared: SingleFlight, clock: FakeClock
) -> None:
    """Who asks then joins the later call."""
    pending: asyncio.Future[ProviderAnswer] = asyncio.get_running_loop().create_future()
    early = shared.begin(b"k", saying(YES), BRIEF)
    late = shared.begin(b"k", lambda: pending, BRIEF)
    await early
    await asyncio.sleep(0)
    assert shared.running(b"k") is late
    pending.set_result(NO)
    await late


async def test_so_many_are_kept(shared: SingleFlight) -> None:
    """However many answers there are, those asked for last are kept and no more."""
    for number in range(KEPT + 100):
        await shared.begin(str(number).encode(), saying(NO), BRIEF)
    assert len(shared) == KEPT
    assert shared.cached(b"99") is None
    assert shared.cached(b"100") == NO


async def test_closing_gives_calls_up(shared: SingleFlight) -> None:
    """No call outlives its store."""
    pending: asyncio.Future[ProviderAnswer] = asyncio.get_running_loop().create_future()
    call = shared.begin(b"k", lambda: pending, BRIEF)
    await asyncio.sleep(0)
    await shared.aclose()
    assert call.cancelled()
    await shared.aclose()
