from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from portward.admin.headers_middleware import HEADERS, HeadersMiddleware
from portward.node.commands.server_api import ServerApi
from tests.admin.service import ADMIN, Service


@pytest.mark.parametrize(
    "path", ["/", "/health", "/ready", "/metrics", "/openapi.json", "/nowhere", "/api/info"]
)
async def test_every_answer_is_guarded(service: Service, path: str) -> None:
    """Whatever the outcome, nothing is cached, sniffed, framed or allowed to load anything."""
    response = await service.http.get(path)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy


async def test_an_accident_is_recorded_and_answered(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception is 500 with number 100; its text is nowhere, no traceback appears."""

    async def broken(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(ServerApi, "publish", broken)
    response = await service.post("publish", {"channel": "rooms:a", "data": 1})
    assert response.status_code == 500
    assert response.json() == {"error": {"code": 100, "message": "internal error"}}
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "RuntimeError" in service.log
    assert "canary" not in service.log + response.text
    assert capsys.readouterr() == ("", "")


async def test_what_has_begun_is_not_begun_again(service: Service) -> None:
    """An accident after the first byte is recorded, and no second answer is sent."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("half")(scope, receive, send)
        raise RuntimeError

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        raise AssertionError

    guard = HeadersMiddleware(app, service.gateway.telemetry)
    await guard({"type": "http", "path": "/x", "headers": []}, receive, send)
    assert sent == ["http.response.start", "http.response.body"]
    assert "RuntimeError" in service.log


async def test_a_response_keeps_its_own_headers(service: Service) -> None:
    """A header that a response brings is not replaced."""
    response = await service.http.get("/", headers={"X-API-Key": ADMIN})
    assert response.headers["content-security-policy"] != HEADERS["Content-Security-Policy"]


async def test_other_kinds_of_scope_pass(service: Service) -> None:
    """A WebSocket is turned away by the application itself."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/api/info", "headers": [], "subprotocols": []}
    await service.app(scope, receive, send)
    assert [each["type"] for each in sent] == ["websocket.close"]
