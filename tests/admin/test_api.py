import json

import pytest

from portward.admin.methods import all_methods
from portward.engines.port import EngineUnavailable
from portward.node.commands.server_api import ServerApi
from portward.protocols.registry import PROTOCOLS
from portward.settings.keys import Scope
from tests.admin.service import ADMIN, KEYS, PUBLISHER, READER, Service

METHODS = all_methods(PROTOCOLS)


@pytest.mark.p0
@pytest.mark.parametrize("method", list(METHODS))
async def test_every_method_needs_a_key(service: Service, method: str) -> None:
    """Without a key, or with a wrong one, no method answers anything but 401."""
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "apikey wrong"}):
        response = await service.http.post(f"/api/{method}", json={}, headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == 101
        assert response.headers["www-authenticate"] == "apikey"


@pytest.mark.p0
@pytest.mark.parametrize("method", list(METHODS))
async def test_every_method_needs_its_scope(service: Service, method: str) -> None:
    """A key opens the methods of its scopes and answers 403 to the others, before the body."""
    scope = METHODS[method].scope
    for key in KEYS:
        response = await service.post(method, raw=b"{", key=key.key.reveal())
        allowed = scope is None or scope in key.scopes
        assert response.status_code == (400 if allowed else 403)
        assert response.json()["error"]["code"] == (107 if allowed else 103)


async def test_refused_keys_are_recorded(service: Service) -> None:
    """A wrong key and a missing scope are security events, and neither shows the key."""
    await service.post("info", key="guess-" + "g" * 30)
    await service.post("revoke", {"user": "ann"}, key=READER)
    (failed,) = service.events("auth.fail")
    assert failed["endpoint"] == "admin"
    assert failed["reason"] == "unauthorized: unknown API key"
    assert failed["address"] == "203.0.113.xxx"
    (denied,) = service.events("authz.deny")
    assert (denied["method"], denied["endpoint"]) == ("revoke", "admin")
    assert "guess-" not in service.log


@pytest.mark.parametrize("method", ["nothing", "alerts", "approval_requests", "PUBLISH"])
async def test_unknown_methods_are_not_found(service: Service, method: str) -> None:
    """A method that is not in the table is 404 with number 104."""
    assert await service.fail(method) == (404, 104, "unknown method")


async def test_the_method_is_posted(service: Service) -> None:
    """Anything but POST is 405, and says what is allowed."""
    response = await service.http.get("/api/info", headers={"X-API-Key": ADMIN})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json() == {"error": {"code": 107, "message": "method not allowed"}}


@pytest.mark.parametrize(
    ("method", "body", "subject"),
    [
        ("disconnect", {"user": "ann", "client": "c1"}, {"user": "ann", "client": "c1"}),
        ("disconnect", {"user": "ann", "client": ""}, {"user": "ann"}),
        (
            "unsubscribe",
            {"user": "ann", "channel": "rooms:a"},
            {"user": "ann", "channel": "rooms:a"},
        ),
        ("revoke", {"jti": "j1"}, {"jti": "j1"}),
        ("revoke", {"token": "canary-token"}, {}),
        ("roles_set", {"user": "ann", "roles": ["canary-role"]}, {"user": "ann"}),
        ("permissions_set", {"user": "ann", "permissions": ["canary.x"]}, {"user": "ann"}),
        ("membership_set", {"user": "ann", "workspaces": ["canary-w"]}, {"user": "ann"}),
        ("rooms_set", {"id": "a", "name": "canary-name"}, {"channel": "rooms:a"}),
        ("rooms_remove", {"id": "a"}, {"channel": "rooms:a"}),
    ],
)
async def test_acts_are_audited_without_their_bodies(
    service: Service, method: str, body: dict[str, object], subject: dict[str, str]
) -> None:
    """What changes something leaves who did it, what and to whom, and nothing of the content."""
    await service.call(method, **body)
    (act,) = service.events("admin.act")
    who = {"method": method, "address": "203.0.113.xxx", "key_id": KEYS[0].digest.hex()[:8]}
    assert act == who | subject
    assert "canary" not in service.log


async def test_acts_that_fail_are_no_acts(service: Service) -> None:
    """A request that was refused has changed nothing, and is not audited as if it had."""
    assert (await service.fail("revoke"))[0] == 400
    assert service.events("admin.act") == []


async def test_publishing_does_not_fill_the_audit(service: Service) -> None:
    """Messages of a backend push no security event out of the last ten thousand."""
    await service.call("publish", PUBLISHER, channel="rooms:a", data=1)
    await service.call("broadcast", PUBLISHER, channels=["rooms:a"], data=1)
    assert service.events("admin.act") == []


async def test_an_engine_that_is_away_is_503(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store cannot be asked, a request is refused as temporary and may be repeated."""

    async def away(*_: object) -> None:
        raise EngineUnavailable

    monkeypatch.setattr(ServerApi, "publish", away)
    response = await service.post("publish", {"channel": "rooms:a", "data": 1})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json() == {"error": {"code": 108, "message": "temporarily unavailable"}}


@pytest.mark.p1
async def test_answers_hold_no_beginning_of_a_tag(service: Service) -> None:
    """Data that looks like markup comes back as data, with no bare `<` in the answer."""
    data = "<script>alert(1)</script>"
    await service.call("publish", channel="alerts:a", data=data)
    response = await service.post("history", {"channel": "alerts:a"})
    assert b"<" not in response.content
    assert response.json()["result"]["publications"][0]["data"] == data


@pytest.mark.p0
async def test_secrets_stay_where_they_came_in(service: Service) -> None:
    """Keys and tokens appear in no answer, log line, audit entry or metric, refused or taken."""
    token = service.gateway.token("ann")
    canaries = [ADMIN, READER, token, "canary-guess", "canary-data"]
    seen = ""
    for method, body, key in [
        ("publish", {"channel": "rooms:a", "data": "canary-data"}, ADMIN),
        ("publish", {"channel": "rooms:a", "data": "canary-data", "more": 1}, ADMIN),
        ("publish", {"channel": "rooms:a", "data": "canary-data" * 10_000}, ADMIN),
        ("ticket", {"token": token}, ADMIN),
        ("ticket", {"token": token + "x"}, ADMIN),
        ("revoke", {"token": token}, ADMIN),
        ("ticket", {"token": token}, ADMIN),
        ("info", {}, "canary-guess"),
        ("revoke", {"token": token}, READER),
        ("connections", {}, READER),
        ("security_events", {}, READER),
    ]:
        seen += (await service.post(method, body, key=key)).text
    seen += (await service.http.get("/metrics")).text
    seen += service.log
    seen += json.dumps([entry.fields for entry in service.gateway.telemetry.audit.recent(1000)])
    seen += repr(service.app.__dict__)
    assert [canary for canary in canaries if canary in seen] == []


def test_the_table_has_the_three_scopes() -> None:
    """Every method but the batch asks for a scope, and every scope opens something."""
    scopes = {name: method.scope for name, method in METHODS.items()}
    assert {name for name, scope in scopes.items() if scope is None} == {"batch"}
    assert set(scopes.values()) - {None} == set(Scope)
