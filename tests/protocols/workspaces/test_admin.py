"""Requests for approval over HTTP: asked by the backend, decided by a member, read back."""

import json
from typing import Any

import pytest

from portward.engines.port import EngineUnavailable
from portward.protocols.workspaces.approvals import MAX_LIFE, ApprovalRequests
from portward.settings import Settings
from tests.admin.service import ADMIN, PUBLISHER, READER, Service, serving
from tests.socketio_peer import SocketPeer, reach

ASKED: dict[str, Any] = {"workspace": "w1", "title": "Refund 40 EUR?", "data": {"order": 7}}
ROOM = "workspace:w1:approvals"


@pytest.fixture
def settings() -> Settings:
    """Settings in which agents decide."""
    return Settings(roles={"agent": ("approvals.decide",)})


async def member(service: Service, user: str = "ann", **claims: Any) -> SocketPeer:
    """A member of the workspace who hears what is to be decided."""
    peer = await reach(service.gateway)
    token = service.gateway.token(user, **{"roles": ["agent"], "workspaceId": "w1", **claims})
    await peer.enter({"token": token})
    assert await peer.call("join_room", {"room": ROOM}) == {"joined": ROOM}
    return peer


async def test_a_request_is_heard_decided_and_read(settings: Settings) -> None:
    """Members hear of it; the verdict of one of them stands in the answer with who gave it."""
    async with serving(settings) as service:
        ann = await member(service)
        now = service.clock.time()
        asked = await service.call("approval_request", PUBLISHER, **ASKED, expires_in=60)
        assert asked == {"id": asked["id"], "expires_at": now + 60}
        await ann.settle()
        (heard,) = ann.events("approval_requested")
        assert (heard["requestId"], heard["data"]) == (asked["id"], {"order": 7})
        pending = {
            **ASKED,
            **asked,
            "status": "pending",
            "created_at": now,
        }
        assert await service.call("approval_get", READER, id=asked["id"]) == pending
        service.clock.advance(5)
        said = {"requestId": asked["id"], "decision": "reject", "comment": "no receipt"}
        assert await ann.call("approval_response", said) == {"ok": True}
        assert await service.call("approval_get", READER, id=asked["id"]) == {
            **pending,
            "status": "rejected",
            "decision": "reject",
            "user": "ann",
            "comment": "no receipt",
            "decided_at": now + 5,
        }


async def test_an_approval_without_a_comment(settings: Settings) -> None:
    """What was not said is not answered."""
    async with serving(settings) as service:
        ann = await member(service)
        asked = await service.call("approval_request", **ASKED)
        await ann.call("approval_response", {"requestId": asked["id"], "decision": "approve"})
        found = await service.call("approval_get", id=asked["id"])
        assert (found["status"], "comment" in found) == ("approved", False)


async def test_a_request_expires(service: Service) -> None:
    """After its time it stands as expired; after an hour unless another time was asked for."""
    asked = await service.call("approval_request", **ASKED)
    service.clock.advance(3599)
    assert (await service.call("approval_get", id=asked["id"]))["status"] == "pending"
    service.clock.advance(1)
    assert (await service.call("approval_get", id=asked["id"]))["status"] == "expired"
    service.clock.advance(86_400)
    assert await service.fail("approval_get", id=asked["id"]) == (404, 104, "unknown approval")


async def test_addresses_of_their_own(service: Service) -> None:
    """The same is had by POST and GET of an address that names the thing, in the same envelope."""
    asked = await service.call("approvals", PUBLISHER, **ASKED, id="a:b")
    assert asked["id"] == "a:b"
    named = await service.call("approvals", PUBLISHER, **ASKED, id="order-7")
    headers = {"X-API-Key": READER}
    response = await service.http.get("/api/approvals/order-7", headers=headers)
    assert response.status_code == 200
    assert response.json() == {"result": await service.call("approval_get", id=named["id"])}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/approvals/nothing", 404),
        ("GET", f"/api/approvals/{'x' * 65}", 400),
        ("GET", "/api/approvals", 405),
        ("POST", "/api/approvals/x", 405),
        ("GET", "/api/approvals/", 405),
        ("GET", "/api/approvals//", 404),
    ],
)
async def test_addresses_that_lead_nowhere(
    service: Service, method: str, path: str, status: int
) -> None:
    """What is not there, and the wrong method, are refused in the API's own shape."""
    response = await service.http.request(method, path, headers={"X-API-Key": ADMIN})
    assert response.status_code == status
    assert set(response.json()) == {"error"}


async def test_scopes(service: Service) -> None:
    """Asking takes the scope `publish`, reading the scope `read`, by either address."""
    assert (await service.fail("approval_request", READER, **ASKED))[:2] == (403, 103)
    assert (await service.fail("approvals", READER, **ASKED))[:2] == (403, 103)
    assert (await service.fail("approval_get", PUBLISHER, id="x"))[:2] == (403, 103)
    for headers, status in (({"X-API-Key": PUBLISHER}, 403), ({}, 401)):
        response = await service.http.get("/api/approvals/x", headers=headers)
        assert response.status_code == status


async def test_asking_twice(service: Service) -> None:
    """The same id with the same content is one request; with another it is refused."""
    first = await service.call("approval_request", **ASKED, id="r1")
    service.clock.advance(10)
    assert await service.call("approval_request", **ASKED, id="r1") == first
    status, number, text = await service.fail(
        "approval_request", **{**ASKED, "title": "x"}, id="r1"
    )
    assert (status, number) == (400, 107)
    assert "the id is taken" in text


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"workspace": ""}, 400, "workspace"),
        ({"workspace": "a:b"}, 400, "workspace"),
        ({"workspace": "/x"}, 400, "workspace"),
        ({"workspace": "a b"}, 400, "workspace"),
        ({"workspace": "a*"}, 400, "workspace"),
        ({"workspace": "w" * 65}, 400, "workspace"),
        ({"workspace": None}, 400, "workspace"),
        ({"title": ""}, 400, "title"),
        ({"title": "x" * 201}, 400, "title"),
        ({"expires_in": 0}, 400, "expires_in"),
        ({"expires_in": -1}, 400, "expires_in"),
        ({"expires_in": MAX_LIFE + 1}, 400, "expires_in"),
        ({"expires_in": "60"}, 400, "expires_in"),
        ({"id": ""}, 400, "id"),
        ({"id": "x" * 65}, 400, "id"),
        ({"namespace": "nowhere"}, 404, "unknown channel"),
        ({"more": 1}, 400, "more"),
        ({"data": "x" * 40_000}, 413, "too long"),
    ],
)
async def test_requests_are_refused(
    service: Service, changed: dict[str, Any], status: int, words: str
) -> None:
    """A part that cannot be is refused with what is wrong, and nothing is kept."""
    found = await service.fail("approval_request", **{**ASKED, "id": "r1", **changed})
    assert found[0] == status
    assert words in found[2]
    assert await service.gateway.workspaces.approval("r1") is None


@pytest.mark.parametrize("missing", ["workspace", "title"])
async def test_nothing_needed_may_be_missing(service: Service, missing: str) -> None:
    """For whom and what for have to be said."""
    body = {name: value for name, value in ASKED.items() if name != missing}
    status, _, words = await service.fail("approval_request", **body)
    assert (status, missing in words) == (400, True)


async def test_too_many_wait(service: Service) -> None:
    """A thousand requests may wait in one room; the next is refused until one is decided."""
    commands = [{"approval_request": {**ASKED, "id": str(each)}} for each in range(1000)]
    replies = (await service.call("batch", commands=commands))["replies"]
    assert all("error" not in each for each in replies)
    assert (await service.fail("approval_request", **ASKED))[:2] == (409, 106)


async def test_the_store_is_away(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the caller is told to try again."""

    async def away(*_: object, **__: object) -> None:
        raise EngineUnavailable

    monkeypatch.setattr(ApprovalRequests, "ask", away)
    monkeypatch.setattr(ApprovalRequests, "get", away)
    assert (await service.fail("approval_request", **ASKED))[:2] == (503, 108)
    assert (await service.fail("approval_get", id="x"))[:2] == (503, 108)


async def test_markup_is_escaped(service: Service) -> None:
    """What stands in a request is answered so that no browser takes it for markup."""
    await service.call("approval_request", **{**ASKED, "title": "<script>"}, id="r1")
    response = await service.post("approval_get", {"id": "r1"})
    assert b"<" not in response.content
    assert json.loads(response.content)["result"]["title"] == "<script>"
