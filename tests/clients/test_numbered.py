"""Numbered messages over connections that are cut at random bytes, for both clients at once."""

import pytest

from tests.clients.client_programs import CLIENTS
from tests.clients.gateway import Process
from tests.clients.numbered_messages import Channel, Run, check_run, numbered_messages


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_few_cuts(gateway: Process) -> None:
    """900 messages, 400 of them while the network is away, and 50 cuts: each is seen once, or is covered."""
    run = Run(numbers=900, cuts=50, outages=1, seed=7)
    check_run(await numbered_messages(gateway, CLIENTS, run), run)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_thousand_cuts(gateway: Process) -> None:
    """10,000 messages and 1,000 cuts: each number is seen once, in order, or is covered."""
    run = Run(numbers=10_000, cuts=1000, outages=5, seed=11)
    check_run(await numbered_messages(gateway, CLIENTS, run), run)


def message(number: int) -> dict[str, object]:
    """A report of a message."""
    return {"kind": "message", "value": {"content": {"n": number}, "offset": number}}


def gap(start: int, end: int) -> dict[str, object]:
    """A report of a gap."""
    return {"kind": "gap", "value": {"from": {"offset": start}, "to": {"offset": end}}}


def state(offset: int) -> dict[str, object]:
    """A report of a question for the state."""
    return {"kind": "state wanted", "position": {"offset": offset}}


def test_the_check_takes_what_is_right() -> None:
    """Numbers in order pass, with a gap or with a state where some are missing."""
    plain, stated = Channel("a", False), Channel("b", True)
    for report in (message(1), message(2), gap(2, 9), message(10)):
        plain.take(report)
    for report in (message(1), state(7), message(8)):
        stated.take(report)
    assert (plain.last, plain.messages, plain.gaps) == (10, 3, [(2, 9)])
    assert (stated.last, stated.messages, stated.states) == (8, 2, 1)


@pytest.mark.parametrize(
    "reports",
    [
        [message(2)],
        [message(1), message(1)],
        [message(1), message(3)],
        [message(1), message(2), message(1)],
        [message(1), gap(0, 3)],
        [message(1), gap(1, 1)],
        [message(1), gap(1, 3), message(5)],
        [message(1), state(1)],
    ],
)
def test_the_check_refuses_what_is_wrong(reports: list[dict[str, object]]) -> None:
    """A number that is missing, comes twice or out of order fails, and so does a gap at a wrong place."""
    channel = Channel("a", False)
    *right, wrong = reports
    for report in right:
        channel.take(report)
    with pytest.raises(AssertionError):
        channel.take(wrong)


def test_the_check_refuses_a_gap_where_there_is_a_state() -> None:
    """With a state no gap reaches the application, and no state lies behind the last message."""
    for wrong in (gap(1, 5), state(0)):
        channel = Channel("a", True)
        channel.take(message(1))
        with pytest.raises(AssertionError):
            channel.take(wrong)
