"""A Unix socket of uvicorn, as `uvicorn --uds` makes it: the client is whom the trusted peer names."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uvicorn
from websockets.asyncio.client import unix_connect
from websockets.exceptions import InvalidStatus

from portward.app.gateway import Gateway
from portward.node.sessions.clock import LoopClock
from portward.settings import load
from portward.telemetry.telemetry import make_telemetry
from tests.e2e.process import SECRET

CLIENT = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}


@pytest.fixture
def path() -> Iterator[str]:
    """A short path for a socket."""
    with TemporaryDirectory(prefix="pw") as folder:
        yield str(Path(folder) / "app.sock")


@asynccontextmanager
async def served(path: str, trusted: str) -> AsyncIterator[tuple[Gateway, io.StringIO]]:
    """A gateway in production as an ASGI application at a path."""
    text = f"""
        environment = "production"
        [server]
        behind_tls_proxy = true
        trusted_proxies = [{trusted}]
        [tokens]
        secrets = ["{SECRET}-9f3b7c1d5e"]
        [endpoints.rooms]
        credentials = ["header"]
        [endpoints.live]
        enabled = false
    """
    given = load({}, "portward.toml", read=lambda _: text).settings
    log = io.StringIO()
    gateway = Gateway(given, telemetry=make_telemetry(given, LoopClock(), log))
    options = {"log_level": "critical", "ws": "websockets-sansio", "lifespan": "on"}
    server = uvicorn.Server(uvicorn.Config(gateway.asgi, uds=path, **options))  # type: ignore[arg-type]  # its own names
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield gateway, log
    finally:
        server.should_exit = True
        await serving


async def test_the_client_is_named_by_the_header(path: str) -> None:
    """With `unix:` among the trusted proxies limits and logs go by the client's own address."""
    async with served(path, '"unix:"') as (gateway, _):
        token = gateway.token("ann", roles=["user"])
        headers = {**CLIENT, "Authorization": f"Bearer {token}"}
        async with unix_connect(path, "ws://gate/rooms", additional_headers=headers):
            assert [info.address for info in gateway.connections()] == ["203.0.113.xxx"]


async def test_without_trust_the_log_says_what_to_write(path: str) -> None:
    """All would be one client, and none came by TLS: production refuses, and names the entry."""
    async with served(path, '"127.0.0.1/32"') as (gateway, log):
        with pytest.raises(InvalidStatus) as caught:
            async with unix_connect(path, "ws://gate/rooms", additional_headers=CLIENT):
                pass
        assert caught.value.response.status_code == 403
        gateway.telemetry.log.flush()
        assert '\\"unix:\\" makes it one' in log.getvalue()
