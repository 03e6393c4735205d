"""Tokens of issuers that write much into them: where they fit, and where they do not."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.listeners import PATIENCE
from tests.reload.case import ClientSide
from tests.reload.issuer import token
from tests.reload.process import ORIGIN, GatewayProcess, serving
from tests.reload.web import web_server

SECRET: Final = "Kq3vT9xw2LmZ7sRb5nYc8dHf1gJp4uXa"
KIB: Final = 1024
LARGE: Final = {
    "tokens.secrets": [SECRET],
    "tokens.max_size": "32KiB",
    "endpoints.alerts.credentials": ["header", "query"],
    "endpoints.realtime.enabled": False,
    "endpoints.workspaces.refuse": "connect_error",
}
USUAL: Final = {**LARGE, "tokens.max_size": "8KiB"}


def of_size(size: int) -> str:
    """A token of this many characters, or one less: not every number is one of base64."""
    around = len(token(SECRET, roles=["user"], groups=""))
    padding = (size - around) * 3 // 4 + 2
    while len(made := token(SECRET, roles=["user"], groups="x" * padding)) > size:
        padding -= 1
    assert len(made) >= size - 1
    return made


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that takes tokens of 32 KiB."""
    with web_server() as web, serving(tmp_path_factory.mktemp("large"), web, LARGE) as running:
        yield running


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with the usual limits."""
    with web_server() as web, serving(tmp_path_factory.mktemp("usual"), web, USUAL) as running:
        yield running


async def by_header(gateway: GatewayProcess, made: str) -> object:
    """The status of a handshake with a header."""
    async with AsyncExitStack() as stack:
        return await ClientSide(gateway, stack).status("/echo", token=made)


async def by_query(gateway: GatewayProcess, made: str) -> object:
    """The status of a handshake with a query."""
    async with AsyncExitStack() as stack:
        return await ClientSide(gateway, stack).status(f"/alerts?token={made}", Origin=ORIGIN)


async def by_message(gateway: GatewayProcess, made: str) -> object:
    """The answer to a first message, or the code of the close."""
    async with AsyncExitStack() as stack:
        try:
            answer = await ClientSide(gateway, stack).authenticated(made)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None
        return answer["user"]["userId"] if isinstance(answer, dict) else answer


async def by_socketio(gateway: GatewayProcess, made: str) -> object:
    """The first packet of Socket.IO after a CONNECT over WebSocket, or the code of the close."""
    url = f"{gateway.public}/socket.io/?EIO=4&transport=websocket"
    async with connect(url, open_timeout=PATIENCE, proxy=None) as socket:
        await socket.recv()
        await socket.send("40" + json.dumps({"token": made}))
        try:
            while (packet := str(await socket.recv()))[:2] not in {"40", "44"}:
                pass
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None
        return packet[:2]


async def by_polling(gateway: GatewayProcess, made: str) -> object:
    """The first packet of Socket.IO after a CONNECT in a POST, or its status."""
    url = f"{gateway.public.replace('ws', 'http', 1)}/socket.io/"
    query: dict[str, Any] = {"EIO": "4", "transport": "polling"}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        opened = (await client.get(url, params=query)).text
        query["sid"] = json.loads(opened[1:])["sid"]
        posted = await client.post(url, params=query, content="40" + json.dumps({"token": made}))
        if posted.status_code != 200:
            return posted.status_code
        return (await client.get(url, params=query)).text[:2]


WAYS: Final = {
    "header": (by_header, 101, 431),
    "query": (by_query, 101, 414),
    "message": (by_message, "ann", 1009),
    "socket.io": (by_socketio, "40", 1009),
    "polling": (by_polling, "40", 413),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [9 * KIB, 16 * KIB, 32 * KIB])
async def test_a_large_token_comes_in(large: GatewayProcess, way: str, size: int) -> None:
    """With `tokens.max_size` a token of that size comes in by every way there is."""
    come, welcome, _ = WAYS[way]
    assert await come(large, of_size(size)) == welcome


@pytest.mark.parametrize("way", WAYS)
async def test_a_token_over_the_limit_is_refused(large: GatewayProcess, way: str) -> None:
    """One that is a little larger is refused as a token, with room to spare for what is around it."""
    refused = {"header": 401, "query": 401, "message": "authentication_failed"}
    come, _, _ = WAYS[way]
    assert await come(large, of_size(32 * KIB + 8)) == refused.get(way, "44")


@pytest.mark.parametrize("way", WAYS)
async def test_without_the_setting_nothing_is_larger(usual: GatewayProcess, way: str) -> None:
    """The usual limits are those of heads and of first messages, and a usual token fits."""
    come, welcome, refused = WAYS[way]
    assert await come(usual, of_size(7 * KIB)) == welcome
    assert await come(usual, of_size(16 * KIB)) == refused


async def test_heads_have_limits_still(large: GatewayProcess) -> None:
    """Room for a large token is room for one: other headers and the whole head stay bounded."""
    async with AsyncExitStack() as stack:
        client = ClientSide(large, stack)
        made = of_size(32 * KIB)
        assert await client.status("/echo", token=made, x_other="x" * 30 * KIB) == 101
        assert await client.status("/echo", token=made, x_other="x" * 41 * KIB) == 431
        rest = {f"x_other_{n}": "x" * 30 * KIB for n in range(2)}
        assert await client.status("/echo", token=made, **rest) == 431
        target = f"/alerts?token={made}&x={'x' * 9 * KIB}"
        assert await client.status(target, Origin=ORIGIN) == 414
