import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from portward.admin.app import AdminApp
from portward.app.workers import control_protocol
from portward.app.workers.worker_admin import (
    CLIENT,
    HELD,
    PARENT,
    WorkerAdmin,
    listening,
    make_listener,
)
from portward.testing.gateway import memory_gateway
from tests.app.workers.work import KEY, SETTINGS, place_in


def test_socket_of_a_predecessor(tmp_path: Path) -> None:
    """What a worker that died has left at the path is no obstacle."""
    path = str(tmp_path / "admin.0")
    for _ in range(2):
        listening(path).close()
    assert Path(path).is_socket()


def test_socket_that_cannot_be_had(tmp_path: Path) -> None:
    """A path that leads nowhere is the system's error."""
    with pytest.raises(OSError, match="No such file"):
        listening(str(tmp_path / "nowhere" / "admin.0"))


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """What the parent sees of a worker."""
    place, parent = place_in(tmp_path, 3)
    async with memory_gateway(SETTINGS, log=io.StringIO()) as gateway:
        app = AdminApp(gateway.node, SETTINGS.admin.api_keys, open_metrics=True)
        listener = make_listener(app, gateway.node, place)
        await listener.start()
        path = control_protocol.admin_socket(str(tmp_path), 3)
        assert listener.address == (path, 0)
        transport = httpx.AsyncHTTPTransport(uds=path)
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
            yield client
        await listener.stop()
    place.close()
    parent.close()


async def test_worker_serves_the_api(http: httpx.AsyncClient) -> None:
    """A worker answers everything a gateway by itself answers."""
    assert (await http.get("/ready")).json() == {"status": "ready"}
    answer = await http.post("/api/info", headers={"X-API-Key": KEY})
    assert answer.status_code == 200


async def test_held_is_for_the_parent(http: httpx.AsyncClient) -> None:
    """How many connections a revocation would end is told to the parent alone."""
    assert (await http.post(HELD, json={"user": "ann"})).status_code == 404
    ours = {PARENT: "1"}
    answer = await http.post(HELD, json={"user": "ann"}, headers=ours)
    assert answer.json() == {"held": 0}
    assert (await http.post(HELD, json={"nonsense": 1}, headers=ours)).status_code == 400


async def test_client_is_the_callers() -> None:
    """The address of the caller is the one the parent names; where it names none it stays."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope.get("client"))

    async def receive() -> Any:
        raise AssertionError

    async def send(_: Any) -> None:
        raise AssertionError

    behind = WorkerAdmin(app)
    named = [(b"host", b"x"), (CLIENT.encode(), b"203.0.113.7")]
    await behind({"type": "http", "headers": named, "client": None}, receive, send)
    await behind({"type": "http", "headers": [], "client": ("::1", 1)}, receive, send)
    await behind({"type": "lifespan"}, receive, send)
    assert seen == [("203.0.113.7", 0), ("::1", 1), None]
