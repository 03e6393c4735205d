"""`refuse = "close"` on real sockets: what comes, how little is left, and what a browser sees."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.gateways import LISTENERS, ORIGIN, UNLIMITED, GatewayRunner, own_listener, until
from tests.e2e.socketio_chromium import address, browse, need_chromium, pages
from tests.transports.running_listener import Client, handshake

CLOSE = """
[endpoints.rooms]
refuse = "close"
credentials = ["query"]
compression = true
"""
LIMITED = "[endpoints.rooms.limits.connections]\nmax = 1\n"


async def ended(url: str, **options: Any) -> tuple[int | None, str, list[Any], str | None]:
    """How a connection ends that opens first: code, reason, messages and subprotocol."""
    told = []
    async with connect(url, origin=ORIGIN, proxy=None, **options) as socket:  # type: ignore[arg-type]  # a NewType
        try:
            while True:
                told.append(json.loads(await socket.recv()))
        except Exception:  # noqa: BLE001 - whatever it is, it is the end
            await socket.wait_closed()
    return socket.close_code, socket.close_reason or "", told, socket.subprotocol


async def cut(client: Client, data: bytes) -> None:
    """Send until the other side has had enough."""
    with suppress(ConnectionResetError, BrokenPipeError):
        async with asyncio.timeout(30):
            while True:
                await client.send(data)
                await asyncio.sleep(0.02)
    client.leave()


@pytest.mark.parametrize("runner", LISTENERS.values(), ids=LISTENERS)
async def test_a_refused_handshake_opens_and_closes(runner: GatewayRunner) -> None:
    """The code says why; after a limit a message says when to come back; nothing is counted or kept."""
    async with runner(f"{UNLIMITED}{CLOSE}{LIMITED}") as place:
        url = f"{place.base}/rooms"
        assert await ended(f"{url}?token=x") == (3500, "invalid token", [], None)
        assert await ended(url) == (3500, "invalid token", [], None)
        token = place.gateway.token("ann", roles=["user"])
        async with connect(f"{url}?token={token}", origin=ORIGIN, proxy=None):  # type: ignore[arg-type]  # a NewType
            code, reason, (told, closing), _ = await ended(f"{url}?token={token}")
        assert (code, reason) == (3013, "too many requests")
        assert told["type"] == "error"
        assert told["data"]["retryAfterMs"] > 0
        again = told["data"]["retryAfterMs"]
        assert closing["data"] == {"reason": "too_many_requests", "retryMs": again}
        with pytest.raises(InvalidStatus) as caught:
            async with connect(url, origin="https://evil.example", proxy=None):  # type: ignore[arg-type]  # a NewType
                pass
        assert caught.value.response.status_code == 403
        await until(lambda: place.gateway.node.admission_control.inside == 0)
        assert place.gateway.connections() == []


async def test_the_whole_answer_leaves_at_once() -> None:
    """101, close and the end of our side come together; then the socket lingers like any refused one."""
    async with own_listener(UNLIMITED + CLOSE) as place:
        port = int(place.base.rpartition(":")[2])
        offers = {"sec_websocket_extensions": "permessage-deflate", "origin": ORIGIN}
        clients = []
        for _ in range(20):
            client = await Client.to(port)
            await client.send(handshake("/rooms?token=x", **offers))
            head = await client.head()
            assert head[0] == "HTTP/1.1 101 Switching Protocols"
            assert not [line for line in head if "extensions" in line.lower()]
            assert await client.closed() == (3500, "invalid token")
            assert await client.rest() == b""
            clients.append(client)
        # Nobody answers the close: the sockets are dropped after a second, and were never sessions.
        server_side = place.gateway.node
        assert (server_side.admission_control.inside, len(server_side.registry)) == (0, 0)
        for client in clients:
            await cut(client, b"\x88\x80\0\0\0\0")


@pytest.mark.parametrize("flood", [1024 * 1024])
async def test_a_refused_client_that_sends_on_is_cut(flood: int) -> None:
    """What it sends is not read as messages, and only a little of it is read at all."""
    async with own_listener(UNLIMITED + CLOSE) as place:
        client = await Client.to(int(place.base.rpartition(":")[2]))
        await client.send(handshake("/rooms?token=x", origin=ORIGIN))
        await client.head()
        await cut(client, bytes(flood))
        await until(lambda: place.gateway.node.admission_control.inside == 0)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("runner", LISTENERS.values(), ids=LISTENERS)
async def test_a_browser_sees_the_code(runner: GatewayRunner) -> None:
    """After a logout the page knows that it must not come back; without the option it sees 1006."""
    need_chromium()
    with pages() as port:
        origins = f'[gate]\nallowed_origins = ["http://localhost:{port}"]\n'
        spoken = CLOSE.replace('"query"', '"query", "subprotocol"')
        async with runner(f"{UNLIMITED}{origins}{spoken}") as place:

            def page(path: str, host: str = "localhost", **asked: Any) -> str:
                return address(host, port, "socket", url=f"{place.base}{path}", **asked)

            key = ["realtime", "openai-insecure-api-key.x"]
            logged_out, unnamed, alerts, foreign = await browse(
                [
                    page("/rooms?token=x"),
                    page("/rooms", protocols=key),
                    page("/alerts?token=x"),
                    page("/rooms?token=x", "127.0.0.1"),
                ]
            )
    for outcome in (logged_out, unnamed):
        told = (outcome["opened"], outcome["code"], outcome["reason"], outcome["clean"])
        assert told == (True, 3500, "invalid token", True)
    assert unnamed["protocol"] == "realtime"
    for outcome in (alerts, foreign):
        assert (outcome["opened"], outcome["code"]) == (False, 1006)
