"""A connection as the application holds it: what it knows, what it says, how it ends."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from portward.model.identity import Identity
from portward.node.sessions.connection_handle import ConnectionHandle
from portward.testing import MemoryClient
from tests.node.fake_provider import visit, with_provider
from tests.running_gateway import RunningGateway, session_of


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningGateway]:
    """A gateway that asks for cookies."""
    async with with_provider(monkeypatch) as (running, _):
        yield running


@pytest.fixture
async def ann(running: RunningGateway) -> MemoryClient:
    """Somebody who is in."""
    return await visit(running, "ann")


def handle_of(client: MemoryClient) -> ConnectionHandle:
    """The handle of a connection."""
    return ConnectionHandle(session_of(client))


def identify(client: MemoryClient, **fields: Any) -> None:
    """Change what is known of who is there."""
    session = session_of(client)
    session.identity = replace(session.identity or Identity(subject="ann"), **fields)


async def test_id(ann: MemoryClient) -> None:
    """The id is the session's, written as a UUID."""
    handle = handle_of(ann)
    assert str(UUID(handle.id)) == handle.id
    assert handle.id.replace("-", "") == session_of(ann).id


async def test_equality(running: RunningGateway, ann: MemoryClient) -> None:
    """Handles of one connection are one, in sets too; those of two connections of a user are not."""
    other = await visit(running, "ann")
    assert handle_of(ann) == handle_of(ann)
    assert handle_of(ann) != handle_of(other)
    assert handle_of(ann) != handle_of(ann).id
    assert len({handle_of(ann), handle_of(ann), handle_of(other)}) == 2


async def test_user_as_the_provider_knows_it(ann: MemoryClient) -> None:
    """The user is what the identity provider told, in a copy."""
    profile = {"id": "7", "email": None, "role": "r", "first_name": "Ann", "last_name": None}
    identify(ann, profile=profile)
    user = handle_of(ann).user
    assert user == profile
    assert user is not None
    user["role"] = "admin"
    assert handle_of(ann).user == profile
    assert profile["role"] == "r"


async def test_user_without_a_profile(ann: MemoryClient) -> None:
    """Of a user nobody told more of, the other keys are null."""
    identify(ann, email="a@b", profile={})
    assert handle_of(ann).user == {
        "id": "ann",
        "email": "a@b",
        "role": None,
        "first_name": None,
        "last_name": None,
    }


async def test_nobody(running: RunningGateway) -> None:
    """A connection that proved nothing yet is nobody's."""
    assert handle_of(await running.client()).user is None


async def test_where_and_when(running: RunningGateway, ann: MemoryClient) -> None:
    """The address is whole; the moments are of the wall clock, and a pong is a sign of life."""
    session, clock = session_of(ann), running.clock
    handle, opened = handle_of(ann), clock.time()
    assert handle.remote_address == session.handshake.address == "127.0.0.1"
    assert handle.opened_at == handle.last_seen_at == opened
    clock.advance(7)
    assert handle.last_seen_at == pytest.approx(opened)
    session.count_frame(control=True)
    assert handle.last_seen_at == pytest.approx(opened + 7)
    assert handle.opened_at == opened


async def test_wall_clock_that_steps(running: RunningGateway, ann: MemoryClient) -> None:
    """Silence is measured by the steady clock: a step of the wall clock makes it no longer."""
    running.clock.advance(5)
    running.clock.set_wall(running.clock.time() + 3600)
    assert handle_of(ann).last_seen_at == pytest.approx(running.clock.time() - 5)


@pytest.mark.parametrize("value", [None, 1, "ž", [], {}, {"b": [1, None], "a": 2}])
async def test_send(running: RunningGateway, ann: MemoryClient, value: object) -> None:
    """Any JSON value goes to this one connection as it is."""
    other = await visit(running, "ann")
    await handle_of(ann).send(value)
    assert ann.received == [value]
    assert other.received == []


def endless() -> list[Any]:
    """A list in itself."""
    itself: list[Any] = []
    itself.append(itself)
    return itself


NO_JSON = [object(), {"a": object()}, {None: 1}, "\ud800", {"a": "secret \udfff"}, endless()]


@pytest.mark.parametrize("value", NO_JSON, ids=["object", "inner", "key", "text", "deep", "itself"])
async def test_send_what_is_no_json(ann: MemoryClient, value: object) -> None:
    """What is no JSON is the sender's mistake, told without its content; the connection lives on."""
    handle = handle_of(ann)
    with pytest.raises((TypeError, ValueError)) as caught:
        await handle.send(value)
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert ann.received == []
    await handle.send("still here")
    assert ann.received == ["still here"]


async def test_close(ann: MemoryClient) -> None:
    """The application ends a connection once, normally."""
    handle = handle_of(ann)
    was_open = handle.open
    handle.close()
    handle.close()
    assert ann.closed == (1000, "")
    assert (was_open, handle.open) == (True, False)
    assert handle.user is not None


@pytest.mark.parametrize("how", ["closed", "left", "vanished"])
async def test_send_when_it_has_ended(ann: MemoryClient, how: str) -> None:
    """Nothing is said to a connection that has ended, and the sender hears of it."""
    handle = handle_of(ann)
    if how == "closed":
        handle.close()
    else:
        ann.leave(1000 if how == "left" else None)
    with pytest.raises(RuntimeError, match=r"^the connection has ended$"):
        await handle.send("late")
    assert ann.received == []


async def test_send_to_one_who_does_not_read(running: RunningGateway, ann: MemoryClient) -> None:
    """What one connection does not take ends it as too slow, and nobody else."""
    other = await visit(running, "bob")
    ann.reading = False
    handle = handle_of(ann)
    while handle.open:
        await handle.send("x" * 60_000)
        await ann.settle()
    assert ann.closed == (1008, "back-pressure threshold exceeded")
    assert other.open


@pytest.mark.p1
async def test_repr(ann: MemoryClient) -> None:
    """In a log or a traceback a handle shows its id, and neither who it is nor its cookies."""
    identify(ann, email="a@b", profile={"id": "ann", "first_name": "Ann"})
    handle = handle_of(ann)
    assert repr(handle) == f"ConnectionHandle({handle.id})"
    assert session_of(ann).handshake.cookies == "session=ann"
