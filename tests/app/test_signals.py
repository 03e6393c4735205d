import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from portward.app import signals as module
from portward.app.signals import NUMBERS, Signals


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    """The handlers of the test run are there again afterwards."""
    kept = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


async def sent(number: signal.Signals) -> None:
    """Signal this process, and let the loop act on it."""
    os.kill(os.getpid(), number)
    for _ in range(5):
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_second_one_insists(number: signal.Signals) -> None:
    """The first signal asks for a drain, the second one for an end at once."""
    with Signals() as signals:
        await sent(number)
        assert (signals.asked.is_set(), signals.insisted.is_set()) == (True, False)
        await sent(number)
        assert signals.insisted.is_set()


async def test_a_worker_is_not_insisted_to() -> None:
    """A worker may get the same signal twice, from its terminal and from its parent."""
    with Signals(alone=False) as signals:
        await sent(signal.SIGINT)
        await sent(signal.SIGINT)
        assert (signals.asked.is_set(), signals.insisted.is_set()) == (True, False)
        signals.end()
        assert signals.insisted.is_set()


async def test_reloads() -> None:
    """Each SIGHUP is one reload; those that came too early are one as well, when it is possible."""
    done: list[int] = []
    with Signals() as signals:
        await sent(signal.SIGHUP)
        await sent(signal.SIGHUP)
        assert not done
        signals.on_reload(lambda: done.append(1))
        assert done == [1]
        await sent(signal.SIGHUP)
        assert done == [1, 1]
        assert not signals.asked.is_set()


@pytest.mark.parametrize(
    ("terminals", "asked"), [([True, False], True), ([True, True], False), ([False, False], False)]
)
async def test_a_terminal_that_is_closed(
    monkeypatch: pytest.MonkeyPatch, terminals: list[bool], asked: bool
) -> None:
    """What cannot be reloaded ends with its terminal; without one, a SIGHUP changes nothing."""
    monkeypatch.setattr(module, "_has_terminal", iter(terminals).__next__)
    with Signals() as signals:
        await sent(signal.SIGHUP)
        assert signals.asked.is_set() is asked


async def test_handlers_are_given_back() -> None:
    """After the block signals are handled as before it, and none had its default action between."""
    taken: list[int] = []
    for number in NUMBERS:
        signal.signal(number, lambda number, _: taken.append(number))
    with Signals():
        await sent(signal.SIGTERM)
        assert taken == []
    for number in NUMBERS:
        await sent(number)
    assert taken == list(NUMBERS)


async def test_what_was_ignored_is_ignored_again() -> None:
    """SIGHUP is ignored before a gateway can obey it, and after it could."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Signals():
        await sent(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


async def test_starting_is_given_up() -> None:
    """A start that takes its time is cancelled by a signal, and has ended when that is told."""
    ended: list[str] = []

    async def starting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("ended")

    with Signals() as signals:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        assert not await signals.unless_asked(starting())
    assert ended == ["ended"]


async def test_starting_that_succeeds() -> None:
    """Without a signal a start ends by itself, with its error if it has one."""

    async def fails() -> None:
        raise OSError("no")

    with Signals() as signals:
        assert await signals.unless_asked(asyncio.sleep(0))
        with pytest.raises(OSError, match="no"):
            await signals.unless_asked(fails())
        signals.asked.set()
        assert not await signals.unless_asked(asyncio.sleep(0))
