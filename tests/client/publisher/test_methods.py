"""The publisher calls every method of the real admin API, and reads its answers."""

import inspect
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from portward import publisher as public
from portward.admin import channel_methods, node_methods, user_methods
from portward.admin import rooms as admin_rooms
from portward.admin.methods import all_methods
from portward.client import publisher
from portward.client.publisher import AsyncPublisher, CallRefused, Publisher, results
from portward.protocols.registry import PROTOCOLS
from portward.protocols.workspaces import admin as approvals
from portward.telemetry import AuditEntry
from tests.admin.service import ADMIN, READER, Service, serving

METHODS = all_methods(PROTOCOLS)

MIRRORED = {
    results.Published: channel_methods.PositionResult,
    results.StoredPublication: channel_methods.PublicationResult,
    results.History: channel_methods.HistoryResult,
    results.BroadcastOutcome: channel_methods.PublishOutcome,
    results.PresentClient: channel_methods.ClientResult,
    results.PresenceCount: channel_methods.PresenceStatsResult,
    results.NodeInfo: node_methods.NodeResult,
    results.OpenConnection: node_methods.ConnectionResult,
    results.Connections: node_methods.ConnectionsResult,
    results.SecurityEvent: AuditEntry,
    results.Ticket: user_methods.TicketResult,
    results.RoomRecord: admin_rooms.RoomResult,
    results.Rooms: admin_rooms.RoomsResult,
    results.AskedApproval: approvals.ApprovalRequestResult,
    results.ApprovalState: approvals.ApprovalResult,
}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A gateway without sockets, and its admin application."""
    async with serving() as service:
        yield service


def publisher_of(service: Service, called: list[str], key: str = ADMIN) -> AsyncPublisher:
    """A publisher for the admin application, which notes the methods that it calls."""
    inner = httpx.ASGITransport(service.app)

    class Noting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            called.append(request.url.path.rpartition("/")[2])
            return await inner.handle_async_request(request)

    return AsyncPublisher("http://127.0.0.1:8081", key, transport=Noting())


async def test_every_method_is_called(service: Service) -> None:
    """Each method of the admin API has one of the publisher, whose answer is read."""
    called: list[str] = []
    ann = await service.join("ann")
    async with publisher_of(service, called) as it:
        first = await it.publish("rooms:general", {"text": "hi"}, type="notice")
        assert first.offset == 1
        again = await it.publish("rooms:general", 1, idempotency_key="once")
        assert await it.publish("rooms:general", 1, idempotency_key="once") == again
        (good, bad) = await it.broadcast(["rooms:general", "nowhere:a"], "closing")
        assert good.result is not None
        assert bad.error is not None
        assert (await it.alert("call-7", "hold", "high", {"s": 1})).startswith("alert_")
        report = {"callId": "call-7", "anomalies": [{"type": "echo", "confidence": 0.9}]}
        assert len(await it.analysis("anomalies", report)) == 1
        await reading(it, first)
        assert (await it.ticket(service.gateway.token("ann"))).expires_in > 0
        await rights(it)
        await rooms(it)
        await it.unsubscribe("ann", "rooms:general")
        assert await it.revoke(jti="unknown") == 0
        await it.disconnect("ann")
    assert ann.closed is not None
    assert set(called) == METHODS.keys()


async def reading(it: AsyncPublisher, first: results.Published) -> None:
    """What only reads, and requests for approval."""
    asked = await it.request_approval("acme", "Refund?", {"order": 7}, expires_in=60)
    assert (await it.approval(asked.id)).status == "pending"
    replies = await it.batch([{"publish": {"channel": "rooms:general", "data": 2}}, {"info": {}}])
    assert [list(each) for each in replies] == [["publish"], ["info"]]
    found = await it.history("rooms:general", limit=2, since=first)
    assert [each.offset for each in found.publications] == [2, 3]
    assert found.position.offset == 4
    assert (await it.history("rooms:general", limit=0)).publications == []
    assert {each.user for each in (await it.presence("rooms:general")).values()} == {"ann"}
    assert (await it.presence_stats("rooms:general")).num_users == 1
    assert "rooms:general" in await it.channels("rooms:*")
    assert (await it.info())[0].num_clients == 1
    assert (await it.connections(user="ann")).total == 1
    assert (await it.security_events(limit=5))[-1].event
    with pytest.raises(CallRefused, match="not signed"):
        await it.call("verify", verify_body())


async def rights(it: AsyncPublisher) -> None:
    """What the directory has of users."""
    await it.set_roles("bob", ["editor"])
    assert await it.roles("bob") == ["editor"]
    await it.set_permissions("bob", ["room.create"])
    assert await it.permissions("bob") == ["room.create"]
    await it.set_workspaces("bob", ["acme"])
    await it.set_workspaces("bob", None)


async def rooms(it: AsyncPublisher) -> None:
    """Records of rooms."""
    made = await it.set_room(
        "board", name="The board", permissions={"read": ["staff"]}, max_participants=5
    )
    assert made.max_participants == 5
    assert await it.room("board") == made
    assert {each.id for each in (await it.rooms()).rooms} >= {"board"}
    assert (await it.rooms(orphans=True)).orphans == []
    assert await it.remove_room("board")


def verify_body() -> dict[str, Any]:
    """A body for the one method without a method of the publisher."""
    return {
        "channel": "rooms:general",
        "id": "1",
        "user": None,
        "data": 1,
        "time": 1,
        "signature": "0" * 64,
    }


async def test_a_scope_is_needed(service: Service) -> None:
    """A key that may only read is refused for good, with the number and the status."""
    async with publisher_of(service, [], READER) as it:
        with pytest.raises(CallRefused) as refused:
            await it.publish("rooms:general", 1)
    error = refused.value
    assert (error.code, error.status, error.number) == ("permission_denied", 403, 103)
    assert not error.temporary


@pytest.mark.parametrize("mirror", MIRRORED, ids=lambda each: each.__name__)
def test_results_are_those_of_the_api(mirror: type[msgspec.Struct]) -> None:
    """Each struct of the publisher has the keys of the answer that it reads."""
    assert mirror.__struct_encode_fields__ == MIRRORED[mirror].__struct_encode_fields__


def test_both_publishers_are_alike() -> None:
    """The publisher for asyncio has the methods of the other, with the same signatures and docstrings."""
    both = [
        {
            name: (str(inspect.signature(each)), inspect.getdoc(each))
            for name, each in vars(kind).items()
            if not name.startswith("_")
        }
        for kind in (Publisher, AsyncPublisher)
    ]
    assert both[0] == both[1]
    assert len(both[0]) > 25


def test_the_names_are_public() -> None:
    """`portward.publisher` has the names of `portward.client.publisher`."""
    assert public.__all__ == publisher.__all__
    assert all(getattr(public, name) is getattr(publisher, name) for name in public.__all__)
