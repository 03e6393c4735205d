from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.approval import Approval
from portward.protocols.workspaces.pending_replay import SLICE
from tests.running_gateway import RunningGateway, run_gateway, settle
from tests.socketio_peer import SocketPeer, member, workspaces_settings

ROOM = "workspace:w1:approvals"


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with workspaces."""
    async with run_gateway(workspaces_settings()) as running:
        yield running


async def asked(running: RunningGateway, count: int, data: Any = None) -> list[Approval]:
    """So many requests for approval."""
    ask = running.gateway.workspaces.request_approval
    return [await ask("w1", f"request {number}", data) for number in range(count)]


def told(peer: SocketPeer) -> list[str]:
    """The ids of the requests that a client was told of, in order."""
    return [each["requestId"] for each in peer.events("approval_requested")]


async def test_all_that_waits_is_told_in_order(running: RunningGateway) -> None:
    """However many requests wait, a newcomer is told of each, the oldest first, and once."""
    waiting = await asked(running, 5 * SLICE + 3)
    ann = await member(running, "ann", ROOM)
    await settle()
    await settle()
    assert told(ann) == [each.id for each in waiting]


async def test_a_slow_reader_is_waited_for(running: RunningGateway) -> None:
    """Nothing more is said to a client that has not read the slice before."""
    waiting = await asked(running, 3 * SLICE, "x" * 20_000)
    ann = await member(running, "ann")
    ann.reading = False
    await ann.emit("join_room", {"room": ROOM})
    await settle()
    assert len(ann.queue) <= SLICE + 1
    for _ in range(6):
        ann.read()
        ann.reading = False
        await settle()
    assert told(ann) == [each.id for each in waiting]
    assert ann.alive


async def test_what_was_decided_meanwhile_is_left_out(running: RunningGateway) -> None:
    """Who reads slowly is not asked for what has been decided, and not at all after leaving."""
    waiting = await asked(running, 3 * SLICE)
    slow, quick = await member(running, "ann"), await member(running, "bob", ROOM)
    slow.reading = False
    await slow.emit("join_room", {"room": ROOM})
    late = waiting[SLICE + 1]
    answer = {"requestId": late.id, "decision": "approve"}
    assert await quick.call("approval_response", answer) == {"ok": True}
    slow.read()
    slow.reading = False
    await settle()
    assert late.id not in told(slow)
    await slow.emit("leave_room", {"room": ROOM})
    slow.read()
    await settle()
    assert len(told(slow)) < len(waiting) - 1
