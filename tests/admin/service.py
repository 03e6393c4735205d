"""What the tests of the admin room share: a gateway without sockets and its admin application."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from portward.admin.app import AdminApp
from portward.app.gateway import Gateway
from portward.settings import Secret, Settings
from portward.settings.keys import ApiKey, Scope
from portward.testing.clock import FakeClock
from portward.testing.gateway import MemoryClient, connect, memory_gateway

ADMIN = "admin-key-" + "a" * 32
PUBLISHER = "publisher-key-" + "p" * 32
READER = "reader-key-" + "r" * 32
KEYS = (
    ApiKey(key=Secret(ADMIN)),
    ApiKey(key=Secret(PUBLISHER), scopes=(Scope.PUBLISH,)),
    ApiKey(key=Secret(READER), scopes=(Scope.READ,)),
)


class Service:
    """One gateway, and HTTP to its admin application."""

    def __init__(
        self, gateway: Gateway, app: AdminApp, http: httpx.AsyncClient, log: io.StringIO
    ) -> None:
        self.gateway = gateway
        self.app = app
        self.http = http
        self._log = log

    @property
    def log(self) -> str:
        """Everything logged so far, in the words a reader would see."""
        assert self.gateway.telemetry.log.flush()
        return self._log.getvalue()

    @property
    def clock(self) -> FakeClock:
        """The gateway's clock."""
        clock = self.gateway.node.clock
        assert isinstance(clock, FakeClock)
        return clock

    async def post(
        self, method: str, body: Any = None, *, key: str = ADMIN, raw: bytes | None = None
    ) -> httpx.Response:
        """Put one request; `raw` is sent as it is."""
        content = json.dumps({} if body is None else body).encode() if raw is None else raw
        return await self.http.post(f"/api/{method}", content=content, headers={"X-API-Key": key})

    async def call(self, method: str, key: str = ADMIN, /, **body: Any) -> Any:
        """Put one request that must succeed, and return its result."""
        response = await self.post(method, body, key=key)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    async def fail(self, method: str, key: str = ADMIN, /, **body: Any) -> tuple[int, int, str]:
        """Put one request that must fail: its status, its number, its sentence."""
        response = await self.post(method, body, key=key)
        error = response.json()["error"]
        assert set(error) == {"code", "message"}
        return response.status_code, error["code"], error["message"]

    async def join(self, user: str, room: str = "general", *, address: str = "") -> MemoryClient:
        """Let a user come in by the rooms endpoint and join a room."""
        client = await connect(self.gateway, peer=address or "127.0.0.1")
        token = self.gateway.token(user, roles=["user"], email=f"{user}@example.com")
        client.send({"type": "auth", "data": {"token": token}})
        await client.settle()
        client.send({"type": "join", "data": {"roomId": room}})
        await client.settle()
        assert client.last("room_joined")
        return client

    def events(self, name: str) -> list[dict[str, Any]]:
        """The fields of every audited event of a name."""
        recent = self.gateway.telemetry.audit.recent(10_000)
        return [entry.fields for entry in recent if entry.event == name]


@asynccontextmanager
async def serving(
    settings: Settings | None = None, *, open_metrics: bool = True
) -> AsyncIterator[Service]:
    """Run a gateway and its admin application."""
    log = io.StringIO()
    async with memory_gateway(settings, log=log) as gateway:
        app = AdminApp(gateway.node, KEYS, open_metrics=open_metrics)
        transport = httpx.ASGITransport(app, client=("203.0.113.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as http:
            yield Service(gateway, app, http, log)
