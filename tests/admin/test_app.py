import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from portward.admin import app as module
from portward.admin.app import AdminApp, without_slash
from portward.engines.memory import MemoryEngine
from portward.model.handshake_errors import HandshakeRejected
from portward.settings import Secret
from portward.settings.keys import ApiKey
from portward.testing.gateway import connect
from tests.admin.service import ADMIN, PUBLISHER, READER, Service, serving


async def test_health_follows_the_drain(service: Service) -> None:
    """Health and readiness need no key, and turn 503 while the node drains."""
    response = await service.http.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    response = await service.http.get("/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})
    await service.gateway.drain(0)
    for path in ("/health", "/ready"):
        response = await service.http.get(path)
        assert (response.status_code, response.json()) == (503, {"status": "draining"})


async def test_readiness_follows_the_engine(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the engine does not answer the node is alive and not ready."""
    monkeypatch.setattr(MemoryEngine, "healthy", False)
    response = await service.http.get("/ready")
    assert (response.status_code, response.json()) == (503, {"status": "engine unavailable"})
    assert (await service.http.get("/health")).status_code == 200


async def test_readiness_follows_the_memory_policy(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store may drop revocations the node is alive and not ready."""
    monkeypatch.setattr(MemoryEngine, "may_evict", True)
    response = await service.http.get("/ready")
    assert (response.status_code, response.json()) == (503, {"status": "engine may drop keys"})
    assert (await service.http.get("/health")).status_code == 200


async def test_health_can_be_asked_for_its_head(service: Service) -> None:
    """A probe may use HEAD."""
    response = await service.http.head("/health")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/openapi.json"])
async def test_one_slash_at_the_end_is_the_same_path(service: Service, path: str) -> None:
    """With one slash a path is the same, with a query too; two slashes are another path."""
    plain = await service.http.get(path)
    for same in (f"{path}/", f"{path}/?a=1"):
        assert (await service.http.get(same)).status_code == plain.status_code == 200
    for other in (f"{path}//", f"/{path}", f"/{path}/"):
        assert (await service.http.get(f"http://admin{other}")).status_code == 404


async def test_methods_take_a_slash_at_the_end(service: Service) -> None:
    """The API is reached with one slash at the end, and its keys are asked for as without."""
    answer = await service.http.post("/api/info/", json={}, headers={"X-API-Key": ADMIN})
    assert (answer.status_code, "nodes" in answer.json()["result"]) == (200, True)
    assert (await service.http.post("/api/info/", json={})).status_code == 401
    answer = await service.http.post("/api/info//", json={}, headers={"X-API-Key": ADMIN})
    assert answer.status_code == 404


def test_a_slash_of_the_root_stays() -> None:
    """The page of a mounted application keeps its slash."""
    assert without_slash("/", "") == "/"
    assert without_slash("/admin/", "/admin") == "/admin/"
    assert without_slash("/admin/health/", "/admin") == "/admin/health"
    assert without_slash("/admin/health//", "/admin") == "/admin/health//"


async def test_metrics_are_prometheus_text(service: Service) -> None:
    """Metrics come in the text format, with its version in the content type."""
    response = await service.http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE portward_connections gauge" in response.text


@pytest.mark.p1
async def test_metrics_need_a_key_away_from_loopback() -> None:
    """Unless metrics are open, a scrape needs a key with the scope `read`; health does not."""
    async with serving(open_metrics=False) as service:
        get = service.http.get
        assert (await get("/metrics")).status_code == 401
        assert (await get("/metrics", headers={"X-API-Key": PUBLISHER})).status_code == 403
        assert (await get("/metrics", headers={"X-API-Key": READER})).status_code == 200
        assert (await get("/metrics", headers={"X-API-Key": ADMIN})).status_code == 200
        assert (await get("/health")).status_code == 200
        assert service.events("auth.fail")


@pytest.mark.p1
async def test_an_attack_makes_no_series(service: Service) -> None:
    """Users, rooms, methods and keys that somebody makes up add no series to a scrape."""
    await service.join("first", "first")
    await service.post("made-up")
    before = (await service.http.get("/metrics")).text.splitlines()
    for number in range(100):
        await service.join(f"user{number}", f"room{number}", address=f"198.51.{number}.1")
        await service.post(f"method{number}", key=f"key{number}")
        await service.post("publish", {"channel": f"made-up{number}:a", "data": 1})
        with pytest.raises(HandshakeRejected):
            await connect(service.gateway, f"/path{number}", peer=f"198.51.{number}.2")
    after = (await service.http.get("/metrics")).text.splitlines()
    assert len(after) == len(before)
    assert not [line for line in after if "made-up" in line or "user7" in line or "room7" in line]


async def test_unknown_paths_are_json_too(service: Service) -> None:
    """A path that is none of ours, or has a slash too many, is 404 in the shape of every error."""
    for path in ("/nowhere", "/health//", "/api", "/api/", "/api/info/more"):
        response = await service.http.get(path)
        assert response.status_code == 404
        assert response.json() == {"error": {"code": 104, "message": "not found"}}


async def test_keys_are_exchanged_while_running(service: Service) -> None:
    """After a reload the new keys open the API and the old ones do not."""
    service.app.adopt([ApiKey(key=Secret("new-key"))])
    assert (await service.post("info", key=ADMIN)).status_code == 401
    assert (await service.post("info", key="new-key")).status_code == 200


async def test_an_unusable_key_stops_the_making(service: Service) -> None:
    """A digest that is none is found when the application is made."""
    keys = [ApiKey(key=Secret("sha256:none"))]
    with pytest.raises(ValueError, match="hexadecimal"):
        AdminApp(service.gateway.node, keys, open_metrics=True)


async def test_handlers_take_only_their_own(service: Service) -> None:
    """What is none of the errors a handler is for is left to the guard."""
    request = Request({"type": "http", "headers": []})
    for handler in (module._refused, module._unrouted):
        with pytest.raises(KeyError):
            await handler(request, KeyError("x"))


async def test_it_is_an_application_like_any_other(service: Service) -> None:
    """The test client of Starlette can drive it, lifespan included."""
    with TestClient(service.app) as client:
        assert client.get("/openapi.json").json()["openapi"] == "3.1.0"
