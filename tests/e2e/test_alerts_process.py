"""The alerts of the real process: its admin listener, its signals, and the names of the older server."""

import asyncio
import signal
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from portward.security.tokens import sign
from tests.e2e.alerts_client import Watcher, watch
from tests.e2e.gateways import PROCESS, TOKENS, UNLIMITED, process
from tests.e2e.listeners import PATIENCE
from tests.e2e.process import KEY, SECRET, Served

OLD = "a secret the older server had, of good length"


def token(user: str, secret: str = SECRET, **claims: Any) -> str:
    """An access token from somebody who shares the secret."""
    now = int(time.time())
    return sign({"sub": user, "iat": now, "exp": now + 600, **claims}, secret)


async def post(served: Served, method: str, body: Any, key: str = KEY) -> httpx.Response:
    """One call of the admin API."""
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"X-API-Key": key} if key else {}
        return await client.post(f"{served.admin}api/{method}", json=body, headers=headers)


async def test_conversation_and_admin_listener(tmp_path: Path) -> None:
    """What is posted to the admin listener is heard in the alerts' words by who may hear it."""
    async with process(tmp_path, PROCESS + TOKENS + UNLIMITED) as served:
        url = f"{served.url}/alerts"
        supervisor = token("sue", permissions=["alerts:*"])
        async with watch(url, token("ann")) as ann, watch(f"{url}?token={supervisor}", None) as sue:
            await ann.subscribe("c1")
            await sue.subscribe("*")
            made = await served.call(
                "alert", callId="c1", type="note", severity="high", data={"a": [1]}
            )
            alert = await ann.alert()
            assert alert == {
                "id": made["id"],
                "timestamp": alert["timestamp"],
                "callId": "c1",
                "type": "note",
                "severity": "high",
                "data": {"a": [1]},
                "offset": 1,
                "epoch": alert["epoch"],
            }
            assert (await sue.alert())["id"] == made["id"]
            await _reports(served, ann, sue)
            assert (await post(served, "alert", {"callId": "c1"})).status_code == 400
            assert (
                await post(served, "analysis", {"event": "x", "payload": {}})
            ).status_code == 400
            assert (await post(served, "analysis", {"event": "result"}, "")).status_code == 401
            assert (await post(served, "alert", {}, "wrong")).status_code == 401
            await ann.silence()
            await sue.silence()


async def _reports(served: Served, ann: Watcher, sue: Watcher) -> None:
    quality = {"mosScore": 2.0, "jitter": 3}
    payloads: list[tuple[str, Any, list[str]]] = [
        ("result", {"callId": "c1", "callQuality": quality}, ["call_quality"]),
        (
            "events",
            {"callId": "c1", "events": [{"type": t, "timestamp": 1} for t in "ab"]},
            ["call_event:a", "call_event:b"],
        ),
        (
            "anomalies",
            {"callId": "c2", "anomalies": [{"type": "echo", "confidence": 0.9}]},
            ["anomaly:echo"],
        ),
    ]
    for event, payload, kinds in payloads:
        await served.call("analysis", event=event, payload=payload)
        for kind in kinds:
            alert = await sue.alert()
            assert (alert["callId"], alert["type"]) == (payload["callId"], kind)
            if payload["callId"] == "c1":
                assert (await ann.alert())["id"] == alert["id"]


async def test_sigterm(tmp_path: Path) -> None:
    """SIGTERM tells all, waits for who leaves by itself, closes the others with 1001 and ends with 0."""
    short = '[endpoints.alerts]\nfarewell = "500ms"\n'
    async with process(tmp_path, PROCESS + TOKENS + UNLIMITED + short) as served:
        url = f"{served.url}/alerts"
        async with watch(url, token("ann")) as stays, watch(url, token("bob")) as leaves:
            served.process.send_signal(signal.SIGTERM)
            for watcher in (stays, leaves):
                told = await watcher.hear()
                retry = told["payload"]["retryMs"]
                words = {"message": "Server shutting down", "reconnectUrl": url, "retryMs": retry}
                assert told == {"type": "shutdown", "payload": words}
                assert type(retry) is int
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{url}?token={token('eve')}").__aenter__()
            assert refused.value.response.status_code == 503
            await leaves.socket.close()
            assert await stays.goodbye() == []
            assert stays.closed == (1001, "Server shutting down")
        assert await asyncio.wait_for(served.process.wait(), PATIENCE) == 0


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


async def test_names_of_the_older_server(tmp_path: Path) -> None:
    """Port, host, origins and the secret are taken from the variables the older server read."""
    port = free_port()
    environ = {
        "ALERT_SERVER_PORT": str(port),
        "ALERT_SERVER_HOST": "127.0.0.1",
        "ALLOWED_ORIGINS": "https://one.example,https://two.example",
        "JWT_SECRET": OLD,
    }
    async with process(tmp_path, _without_port(), environ) as served:
        assert served.url == f"ws://127.0.0.1:{port}"
        url, right = f"{served.url}/alerts", token("ann", OLD)
        for origin in ("https://one.example", "https://two.example"):
            async with watch(url, right, origin=origin) as ann:
                await ann.silence()
        refusals: list[tuple[Any, str, int]] = [
            ("https://three.example", right, 403),
            (None, right, 403),
            ("https://one.example", token("ann"), 401),
        ]
        for page, given, status in refusals:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{url}?token={given}", origin=page).__aenter__()
            assert refused.value.response.status_code == status


def _without_port() -> str:
    return PROCESS.replace("\nport = 0\n", "\n") + UNLIMITED


async def test_switch_of_the_older_server(tmp_path: Path) -> None:
    """`ALERT_AUTH_DISABLED=true` lets everybody in."""
    environ = {"ALERT_SERVER_PORT": str(free_port()), "ALERT_AUTH_DISABLED": "true"}
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(process(tmp_path, _without_port(), environ))
        anybody = await stack.enter_async_context(watch(f"{served.url}/alerts", None))
        assert await anybody.subscribe("a") == {"callIds": ["a"]}
