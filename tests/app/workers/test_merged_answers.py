from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.admin import node_methods as requests
from portward.app.workers.merged_answers import slices
from portward.telemetry.events import Event
from tests.app.workers.work import House, house


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[House]:
    """Two workers and their parent's admin API."""
    async with house(tmp_path) as running:
        yield running


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 40), st.integers(1, 12))
def test_slices_are_the_page(sizes: list[int], offset: int, limit: int) -> None:
    """The parts asked of workers, one after the other, are exactly the page of the whole."""
    lists = {number: [(number, n) for n in range(size)] for number, size in enumerate(sizes)}
    whole = [each for items in lists.values() for each in items]
    shares = slices({number: len(items) for number, items in lists.items()}, offset, limit)
    page = [
        each for number, (at, count) in shares.items() for each in lists[number][at : at + count]
    ]
    assert page == whole[offset : offset + limit]


async def test_connections_of_all(two: House) -> None:
    """Connections are listed over all workers, by pages, users and endpoints."""
    for number in range(3):
        await two.join(0, f"a{number}")
    for number in range(2):
        await two.join(1, f"b{number}")
    whole = await two.call("connections")
    assert whole["total"] == 5
    assert [each["user"] for each in whole["connections"]] == ["a0", "a1", "a2", "b0", "b1"]
    page = await two.call("connections", offset=2, limit=2)
    assert [each["user"] for each in page["connections"]] == ["a2", "b0"]
    assert page["total"] == 5
    assert await two.call("connections", offset=9) == {"connections": [], "total": 5}
    assert (await two.call("connections", user="b1"))["total"] == 1
    assert (await two.call("connections", endpoint="alerts"))["total"] == 0
    await two.stop(0)
    assert (await two.call("connections"))["total"] == 2


async def test_channels_of_all(two: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that several workers serve is one, with the connections of all."""
    await two.join(0, "ann", "both")
    await two.join(1, "bob", "both")
    await two.join(1, "cid", "one")
    everything = {"rooms:both": {"num_clients": 2}, "rooms:one": {"num_clients": 1}}
    assert await two.call("channels") == {"channels": everything, "total": 2}
    found = await two.call("channels", limit=1, offset=1)
    assert found == {"channels": {"rooms:one": {"num_clients": 1}}, "total": 2}
    found = await two.call("channels", pattern="rooms:b*")
    assert found == {"channels": {"rooms:both": {"num_clients": 2}}, "total": 1}
    await two.stop(1)
    found = await two.call("channels")
    assert found == {"channels": {"rooms:both": {"num_clients": 1}}, "total": 1}


@pytest.mark.parametrize("method", ["connections", "channels", "security_events", "revoke"])
async def test_bad_questions(two: House, method: str) -> None:
    """A question that cannot be understood gets the answer any worker gives."""
    answer = await two.post(method, {"nonsense": 1})
    assert answer.status_code == 400
    assert "nonsense" in answer.json()["error"]["message"]
    broken = await two.http.post(
        f"/api/{method}", content=b"{", headers=dict(answer.request.headers)
    )
    assert broken.status_code == 400


def happen(two: House, number: int, reason: str) -> None:
    """Let something happen at a worker, a second after what was before."""
    two.clock.advance(1.0)
    two.gateways[number].telemetry.record(Event.AUTH_FAIL, reason=reason)


def reasons(result: dict[str, Any]) -> list[str]:
    """What the events told of were."""
    return [each["fields"]["reason"] for each in result["events"] if each["event"] == "auth.fail"]


async def test_events_of_all(two: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events come by time; a reader that goes on from the last number sees each of them once."""
    for number in range(8):
        happen(two, number % 2, f"r{number}")
    two.clock.advance(1.0)
    assert reasons(await two.call("security_events")) == [f"r{number}" for number in range(8)]
    assert reasons(await two.call("security_events", limit=3)) == ["r5", "r6", "r7"]
    monkeypatch.setattr(requests, "MAX_ITEMS", 2)  # so that a worker has more than one page
    seen: list[str] = []
    since = 0
    while found := await two.call("security_events", since=since, limit=2):
        if not found["events"]:
            break
        seen += reasons(found)
        since = found["events"][-1]["seq"]
    assert seen == [f"r{number}" for number in range(8)]
    happen(two, 0, "now")
    assert reasons(await two.call("security_events", since=since)) == []
    two.clock.advance(1.0)
    assert reasons(await two.call("security_events", since=since)) == ["now"]
    await two.stop(1)
    assert reasons(await two.call("security_events")) == ["r0", "r2", "r4", "r6", "now"]


async def test_revocations_count_everybody(two: House) -> None:
    """One worker carries it out; the number is that of the connections of all."""
    for number in (0, 1, 1):
        await two.join(number, "eve")
    await two.join(1, "ann")
    assert await two.call("revoke", user="eve") == {"ended": 3}
    assert await two.call("revoke", jti="of-nobody") == {"ended": 0}
    token = two.gateways[0].token("ann")
    assert await two.call("revoke", token=token) == {"ended": 0}
    answer = await two.post("revoke", {"user": "ann", "jti": "two things"})
    assert answer.status_code == 400
