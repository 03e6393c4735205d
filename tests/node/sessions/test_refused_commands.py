"""Counts of refused commands: by a limit, once a wait; by the client's own fault, each."""

from collections.abc import AsyncIterator

import pytest

from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import FAULTS_IN_A_ROW, REFUSALS_IN_A_ROW
from portward.node.sessions.refused_commands import count_fault, count_refusal
from portward.testing import MemoryClient
from tests.running_gateway import RunningGateway, run_gateway, session_of, settings

LIMITED = CommandError(ErrorKind.RATE_LIMITED, retry_after=1000)


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway that closes after three refused credentials."""
    async with run_gateway(settings(rooms={"auth_attempts": 3})) as running:
        yield running


@pytest.fixture
async def client(running: RunningGateway) -> MemoryClient:
    """A client in no room."""
    return await running.client("ann")


async def test_one_refusal_a_wait(client: MemoryClient) -> None:
    """A refusal counts when the wait of the one that counted last is over, and not before."""
    session = session_of(client)
    counted = []
    for now in (1000.0, 1000.0, 1000.5, 1000.999, 1001.0, 1001.9, 1002.0):
        count_refusal(session, LIMITED, now)
        counted.append(session.refusals)
    assert counted == [1, 1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("wait", [1, 1000, 60_000])
async def test_the_tenth_ends_it(client: MemoryClient, wait: int) -> None:
    """Ten that counted end the session, with leave to come back; nine do not."""
    session = session_of(client)
    limited = CommandError(ErrorKind.SUBSCRIBE_RATE_LIMITED, retry_after=wait)
    for number in range(REFUSALS_IN_A_ROW):
        assert client.open
        for _ in range(5):
            count_refusal(session, limited, 1000.0 + number * wait / 1000)
    assert client.closed == (3013, "too many requests")


async def test_a_refusal_without_a_wait(client: MemoryClient) -> None:
    """Where no wait was told each refusal counts."""
    for _ in range(REFUSALS_IN_A_ROW):
        assert client.open
        count_refusal(session_of(client), CommandError(ErrorKind.RATE_LIMITED), 1000.0)
    assert not client.open


async def test_faults(client: MemoryClient) -> None:
    """Twenty faults end the session for good."""
    for _ in range(FAULTS_IN_A_ROW):
        assert client.open
        count_fault(session_of(client), CommandError(ErrorKind.INVALID_FORMAT))
    assert client.closed == (3501, "bad request")


@pytest.mark.parametrize(
    "kind",
    [ErrorKind.AUTHENTICATION_FAILED, ErrorKind.TOKEN_REVOKED, ErrorKind.TOKEN_REQUIRED],
)
async def test_refused_credentials(client: MemoryClient, kind: ErrorKind) -> None:
    """Refused credentials end it sooner, where the endpoint says so."""
    for _ in range(3):
        assert client.open
        count_fault(session_of(client), CommandError(kind))
    assert client.closed is not None
    assert client.closed[0] == 3500
