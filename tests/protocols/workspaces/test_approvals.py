"""Requests for approval, as the backend makes them: checked, kept once, told once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.engines.port import EngineUnavailable
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.node import stores
from portward.protocols.workspaces.approvals import MAX_LIFE, ApprovalRequests
from portward.protocols.workspaces.service import WorkspacesService
from tests.running_gateway import RunningGateway, run_gateway, settle
from tests.socketio_peer import member, workspaces_settings

CHANNEL = Channel.parse("workspaces:w1:approvals")
ROOM = "workspace:w1:approvals"


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway."""
    async with run_gateway(workspaces_settings()) as running:
        yield running


@pytest.fixture
def requests(running: RunningGateway) -> ApprovalRequests:
    """What is under test."""
    return running.gateway.node.protocols.of(WorkspacesService).approvals


async def test_asked(running: RunningGateway, requests: ApprovalRequests) -> None:
    """A request has an id, its data, and an hour if nothing else is said."""
    one = await requests.ask(CHANNEL, "T", {"a": [1, None]})
    two = await requests.ask(CHANNEL, "T", id="mine", life=MAX_LIFE)
    now = running.clock.time()
    assert (one.title, one.data, one.created_at, one.expires_at) == (
        "T", {"a": [1, None]}, now, now + 3600,
    )  # fmt: skip
    assert len(one.id) == 32
    assert (two.id, two.data, two.expires_at) == ("mine", None, now + MAX_LIFE)
    assert await requests.get(one.id) == one
    assert await requests.get("other") is None
    assert requests.pending(one)


async def test_over(running: RunningGateway, requests: ApprovalRequests) -> None:
    """One that has expired is pending no more, can be read for a day, and is then forgotten."""
    asked = await requests.ask(CHANNEL, "T", life=60)
    running.clock.advance(60)
    assert not requests.pending(asked)
    assert await requests.get(asked.id) == asked
    running.clock.advance(stores.APPROVAL_KEPT)
    assert await requests.get(asked.id) is None


def _deep(levels: int) -> Any:
    data: Any = 1
    for _ in range(levels):
        data = [data]
    return data


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "t" * 201},
        {"title": "\ud800"},
        {"life": 0.0},
        {"life": -1.0},
        {"life": MAX_LIFE + 1},
        {"life": float("nan")},
        {"life": float("inf")},
        {"id": ""},
        {"id": "i" * 65},
        {"data": b"bytes"},
        {"data": {"a": [b""]}},
        {"data": object()},
        {"data": "\ud800"},
        {"data": ENDLESS},
        {"data": _deep(100)},
        {"data": {1.5: object()}},
    ],
)
async def test_what_is_refused(
    requests: ApprovalRequests, running: RunningGateway, wrong: dict[str, Any]
) -> None:
    """What could not be told, kept or answered is refused before anything is kept."""
    with pytest.raises(CommandError) as caught:
        await requests.ask(**{"channel": CHANNEL, "title": "T", **wrong})
    assert caught.value.kind is ErrorKind.INVALID_STRUCTURE
    assert caught.value.detail
    assert await running.gateway.node.context.stores.approvals.pending(CHANNEL) == ()
    ann = await member(running, "ann", ROOM)
    assert ann.events("approval_requested") == []


async def test_too_long(requests: ApprovalRequests) -> None:
    """Data has its bound in bytes of JSON."""
    await requests.ask(CHANNEL, "T" * 200, "x" * (32 * 1024 - 2))
    with pytest.raises(CommandError) as caught:
        await requests.ask(CHANNEL, "T", "x" * (32 * 1024 - 1))
    assert caught.value.kind is ErrorKind.TOO_LONG


async def test_the_longest_is_told(running: RunningGateway, requests: ApprovalRequests) -> None:
    """The longest request one can make reaches who is there, and who comes."""
    ann = await member(running, "ann", ROOM)
    await requests.ask(CHANNEL, "\x01" * 200, [*_deep(30), "\x01" * 5000], id="i" * 64)
    await settle()
    bob = await member(running, "bob", ROOM)
    assert len(ann.events("approval_requested")) == len(bob.events("approval_requested")) == 1


async def test_asking_again(running: RunningGateway, requests: ApprovalRequests) -> None:
    """The same request under the same id is the first one, told once; another one is refused."""
    ann = await member(running, "ann", ROOM)
    first = await requests.ask(CHANNEL, "T", (1, {"a": (2,)}), id="r", life=60)
    running.clock.advance(10)
    assert await requests.ask(CHANNEL, "T", [1, {"a": [2]}], id="r", life=600) == first
    await settle()
    assert len(ann.events("approval_requested")) == 1
    for other in (
        {"title": "other"},
        {"data": [1]},
        {"channel": Channel.parse("workspaces:w2:approvals")},
    ):
        given: dict[str, Any] = {"channel": CHANNEL, "title": "T", "data": [1, {"a": [2]}]}
        with pytest.raises(CommandError) as caught:
            await requests.ask(**{**given, **other}, id="r")
        assert caught.value.kind is ErrorKind.INVALID_STRUCTURE


async def test_asking_again_when_it_was_not_told(
    running: RunningGateway, requests: ApprovalRequests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was kept and could not be told is told when it is made again."""

    async def away(*_: object) -> None:
        raise EngineUnavailable

    ann = await member(running, "ann", ROOM)
    with monkeypatch.context() as patch:
        patch.setattr(running.gateway.node.engine.streams, "publish", away)
        with pytest.raises(EngineUnavailable):
            await requests.ask(CHANNEL, "T", id="r")
    assert ann.events("approval_requested") == []
    for _ in range(2):
        await requests.ask(CHANNEL, "T", id="r")
    await settle()
    assert [each["requestId"] for each in ann.events("approval_requested")] == ["r"]


async def test_asking_again_for_what_is_decided(
    running: RunningGateway, requests: ApprovalRequests
) -> None:
    """One that has its verdict is given back with it, and told to nobody again."""
    await requests.ask(CHANNEL, "T", id="r")
    ann = await member(running, "ann", ROOM)
    assert await ann.call("approval_response", {"requestId": "r", "decision": "approve"}) == {
        "ok": True
    }
    running.clock.advance(600)
    again = await requests.ask(CHANNEL, "T", id="r")
    await settle()
    assert again.verdict is not None
    assert len(ann.events("approval_requested")) == 1


async def test_too_many_wait(requests: ApprovalRequests, monkeypatch: pytest.MonkeyPatch) -> None:
    """A room has so many requests that wait, and then no more."""
    monkeypatch.setattr("portward.node.stores.approvals.MAX_PENDING", 3)
    for number in range(3):
        await requests.ask(CHANNEL, "T", id=f"r{number}")
    with pytest.raises(CommandError) as caught:
        await requests.ask(CHANNEL, "T", id="one-more")
    assert caught.value.kind is ErrorKind.LIMIT_EXCEEDED
    await requests.ask(Channel.parse("workspaces:w2:approvals"), "T")


async def test_mutable_data(requests: ApprovalRequests) -> None:
    """What the backend changes afterwards does not change what was asked."""
    data = {"a": 1}
    asked = await requests.ask(CHANNEL, "T", data)
    data["a"] = 2
    kept = await requests.get(asked.id)
    assert kept is not None
    assert kept.data == {"a": 1}
