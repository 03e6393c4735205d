from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.admin.security_events import RANKS, merged_events
from portward.telemetry import AuditEntry, Event
from portward.telemetry.log import stamp
from tests.admin.nodes import Machines, machines
from tests.admin.service import READER, Service

BASE = 1_700_000_000_000


async def test_security_events_are_read(service: Service) -> None:
    """The newest events come oldest first; from a number on, the next ones."""
    for number in range(5):
        service.gateway.telemetry.record(Event.AUTH_REVOKE, kind="jti", count=number)
    newest = (await service.call("security_events", READER, limit=2))["events"]
    assert [each["fields"]["count"] for each in newest] == [3, 4]
    assert {"seq", "time", "event", "fields"} == set(newest[0])
    older = await service.call("security_events", limit=2, since=newest[0]["seq"] - 3)
    assert [each["fields"]["count"] for each in older["events"]] == [1, 2]


def entry(seq: int, milliseconds: int) -> AuditEntry:
    """An event of a node."""
    return AuditEntry(seq, stamp((BASE + milliseconds) / 1000), "auth.ok", {"n": seq})


def test_time_is_read_to_the_millisecond() -> None:
    """The number of an event has the milliseconds its time was made from."""
    numbered = merged_events([[entry(n, n) for n in range(1000)]])
    assert [each.seq for each in numbered] == [(BASE + n) * RANKS for n in range(1000)]


def test_numbers_fit_into_json() -> None:
    """For longer than this program will live, the numbers are safe for every reader of JSON."""
    year_2100 = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert year_2100 * RANKS + RANKS - 1 < 2**53


nodes = st.lists(
    st.lists(st.integers(0, 30))
    .map(sorted)
    .map(lambda times: [entry(n, each) for n, each in enumerate(times, start=1)]),
    min_size=1,
    max_size=3,
)


@given(nodes)
def test_numbers_are_in_the_order_of_time(answers: list[list[AuditEntry]]) -> None:
    """Every event is there once, with a number of its own, in the order of time."""
    numbered = merged_events(answers)
    every = [(each.time, each.fields["n"]) for node in answers for each in node]
    assert sorted((each.time, each.fields["n"]) for each in numbered) == sorted(every)
    assert [each.time for each in numbered] == sorted(time for time, _ in every)
    seqs = [each.seq for each in numbered]
    assert seqs == sorted(set(seqs))


def test_crowded_milliseconds() -> None:
    """More events in one millisecond than there are numbers share the last one."""
    numbered = merged_events([[entry(n, 0) for n in range(1, RANKS + 10)]])
    assert max(each.seq for each in numbered) == BASE * RANKS + RANKS - 1


@pytest.fixture
async def two() -> AsyncIterator[Machines]:
    """Two nodes that know each other."""
    async with machines() as running:
        yield running


def reasons(result: dict[str, Any]) -> list[str]:
    """What the events told of were."""
    return [each["fields"]["reason"] for each in result["events"] if each["event"] == "auth.fail"]


async def read_on(two: Machines, limit: int) -> list[str]:
    """Everything a reader sees that goes on from the last number, now at one node, now at the other."""
    seen: list[str] = []
    since = turn = 0
    while found := await two.call(turn % 2, "security_events", since=since, limit=limit):
        if not found["events"]:
            return seen
        assert len(found["events"]) <= limit
        seen += reasons(found)
        since, turn = found["events"][-1]["seq"], turn + 1
    return seen


async def test_events_of_all(two: Machines) -> None:
    """Events come by time; a reader that goes on from the last number sees each of them once."""
    for number in range(8):
        two.happen(number % 2, f"r{number}")
    two.net.clock.advance(1.0)
    for node in (0, 1):
        assert reasons(await two.call(node, "security_events")) == [f"r{n}" for n in range(8)]
        assert reasons(await two.call(node, "security_events", limit=3)) == ["r5", "r6", "r7"]
    for limit in (1, 2, 5):
        assert await read_on(two, limit) == [f"r{number}" for number in range(8)]
    since = (await two.call(0, "security_events"))["events"][-1]["seq"]
    two.happen(0, "now")
    assert reasons(await two.call(0, "security_events", since=since)) == []
    two.net.clock.advance(1.0)
    assert reasons(await two.call(1, "security_events", since=since)) == ["now"]
    two.silence(1)
    found = await two.late(0, "security_events")
    assert reasons(found) == ["r0", "r2", "r4", "r6", "now"]
    assert found["missing"] == [two.uids[1]]


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_events_of_one_millisecond(two: Machines, limit: int) -> None:
    """Many events of one millisecond are seen once each too, also when the newest were read first."""
    for number in range(12):
        two.happen(number % 2, f"r{number:02}", after=1.0 if number in (0, 7) else 0.0)
    two.net.clock.advance(1.0)
    first = await two.call(0, "security_events", limit=limit)
    whole = await two.call(0, "security_events")
    assert first["events"] == whole["events"][-limit:]
    assert sorted(await read_on(two, limit)) == [f"r{number:02}" for number in range(12)]
    since = first["events"][-1]["seq"]
    assert (await two.call(1, "security_events", since=since))["events"] == []
