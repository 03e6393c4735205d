"""Before each close after which a client may come back, its protocol sends when to come back."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.disconnects import Disconnect
from portward.testing import MemoryClient, connect
from tests.running_gateway import RunningGateway, run_gateway, session_of, settings

INVITING = [each for each in Disconnect if each.reconnect and each is not Disconnect.GOING_AWAY]
FORBIDDING = [each for each in Disconnect if not each.reconnect]
PATHS = ("/rooms", "/alerts", "/realtime")


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway."""
    async with run_gateway(settings()) as running:
        yield running


async def visitor(running: RunningGateway, path: str) -> MemoryClient:
    """A client of an endpoint."""
    token = running.gateway.token("ann", roles=["user"])
    given = {"authorization": f"Bearer {token}"} if path == "/alerts" else {}
    client = await connect(running.gateway, path, **given)
    await client.settle()
    return client


def waits(message: dict[str, Any]) -> list[int]:
    """The times in a message after which to come back."""
    body = message | message.get("data", {}) | message.get("payload", {})
    return [body["retryMs"]] if "retryMs" in body else []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("ending", INVITING)
async def test_a_close_that_invites_names_a_time(
    running: RunningGateway, path: str, ending: Disconnect
) -> None:
    """The last message before the close has `retryMs`, and as `closing` the name of the ending."""
    client = await visitor(running, path)
    session_of(client).end(ending, "test")
    last = client.received[-1]
    assert client.closed is not None
    assert waits(last) != []
    assert last["type"] in {"closing", "error"}
    if last["type"] == "closing":
        assert ending.name.lower() in json.dumps(last)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("ending", FORBIDDING)
async def test_a_close_that_forbids_names_none(
    running: RunningGateway, path: str, ending: Disconnect
) -> None:
    """Nothing names a time to a client that is not to come back."""
    client = await visitor(running, path)
    session_of(client).end(ending, "test")
    assert client.closed is not None
    assert [wait for each in client.received for wait in waits(each)] == []


@pytest.mark.parametrize("path", PATHS)
async def test_a_drain_names_one_time(running: RunningGateway, path: str) -> None:
    """A client of a gateway that stops is told once, and the close that follows names no other time."""
    client = await visitor(running, path)
    running.gateway.node.background.run(running.gateway.drain(5.0))
    await client.settle()
    for _ in range(6):
        await running.advance(1)
    assert client.closed is not None
    told = [wait for each in client.received for wait in waits(each)]
    assert len(told) == 1
    assert 2500 <= told[0] <= 7500
