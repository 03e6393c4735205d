"""The real process under load, with real signals and real sockets."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from portward.security.tokens import sign
from tests.e2e.listeners import PATIENCE, EnvelopeClient
from tests.e2e.process import SECRET, Served, serving


def token(user: str, *roles: str) -> str:
    """An access token of the process under test."""
    now = int(time.time())
    return sign({"sub": user, "iat": now, "exp": now + 600, "roles": list(roles)}, SECRET)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A running gateway."""
    async with serving(tmp_path) as running:
        yield running


async def member(stack: AsyncExitStack, served: Served, user: str, room: str) -> EnvelopeClient:
    """A user in a room."""
    speaker = EnvelopeClient(await stack.enter_async_context(connect(served.url)))
    await speaker.ask("auth", token=token(user, "user"))
    await speaker.ask("join", roomId=room)
    return speaker


@pytest.mark.long
async def test_sigterm_under_load_drains(served: Served) -> None:
    """While messages flow, SIGTERM tells every client, closes it with 3001 and ends with 0."""
    async with AsyncExitStack() as stack:
        members = [await member(stack, served, f"u{n}", "hall") for n in range(20)]
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                await members[0].say("message", roomId="hall", content="still here")
                await asyncio.sleep(0.005)

        loading = asyncio.create_task(load())
        await members[1].hear_until("message")
        served.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(_sent_off(speaker) for speaker in members[1:]))
        stop.set()
        await asyncio.gather(loading, return_exceptions=True)
    assert await asyncio.wait_for(served.process.wait(), PATIENCE) == 0


async def _sent_off(speaker: EnvelopeClient) -> None:
    assert (await speaker.hear_until("shutdown"))["data"]["retryMs"] > 0
    with pytest.raises(ConnectionClosed):
        await speaker.hear_until("never")
    assert speaker.socket.close_code == 3001


@pytest.mark.long
async def test_slow_reader_is_closed_and_others_notice_nothing(served: Served) -> None:
    """One of many stops reading: it is closed as slow, and the others hear everything in order."""
    async with AsyncExitStack() as stack:
        others = [await member(stack, served, f"u{n}", "hall") for n in range(10)]
        host, port = served.url.removeprefix("ws://").split("/")[0].split(":")
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((host, int(port)))
        sleeper = await connect(served.url, sock=raw, max_queue=1).__aenter__()
        stack.push_async_callback(sleeper.close)
        slow = EnvelopeClient(sleeper)
        await slow.ask("auth", token=token("slow", "user"))
        await slow.ask("join", roomId="hall")
        sent = 220
        text = "x" * 60_000

        async def listen(speaker: EnvelopeClient) -> list[int]:
            heard = [await speaker.hear_until("message") for _ in range(sent)]
            return [each["data"]["offset"] for each in heard]

        listening = [asyncio.create_task(listen(speaker)) for speaker in others]
        for number in range(sent):
            await served.call("publish", channel="rooms:hall", data=f"{number} {text}")
        for offsets in await asyncio.gather(*listening):
            assert offsets == list(range(1, sent + 1))
        await served.said("ending=slow")
        async with httpx.AsyncClient(trust_env=False) as client:
            metrics = (await client.get(f"{served.admin}metrics")).text
        assert "portward_slow_disconnects_total 1.0" in metrics


async def test_rights_taken_through_the_api_act_at_once(served: Served) -> None:
    """A role taken away removes the user from the room; the connection lives and can ask again."""
    await served.call("roles_set", user="ann", roles=["user"])
    async with AsyncExitStack() as stack:
        ann = EnvelopeClient(await stack.enter_async_context(connect(served.url)))
        await ann.ask("auth", token=token("ann"))
        assert (await ann.ask("join", roomId="hall"))["type"] == "room_joined"
        await served.call("roles_set", user="ann", roles=[])
        left = await ann.hear_until("room_left")
        assert left["data"] == {"roomId": "hall", "reason": "permission_denied"}
        answer = await ann.ask("join", roomId="hall")
        assert answer["data"]["message"] == "Insufficient permissions"
        assert (await ann.ask("heartbeat"))["type"] == "heartbeat_response"


async def test_revoked_user_is_out_and_stays_out(served: Served) -> None:
    """A revocation through the API ends the connection with 3503, and the token is worth nothing."""
    stolen = token("eve", "user")
    async with connect(served.url) as ws:
        eve = EnvelopeClient(ws)
        await eve.ask("auth", token=stolen)
        assert await served.call("revoke", user="eve") == {"ended": 1, "missing": []}
        await asyncio.wait_for(ws.wait_closed(), PATIENCE)
        assert (ws.close_code, ws.close_reason) == (3503, "force disconnect")
    async with connect(served.url) as ws:
        answer = await EnvelopeClient(ws).ask("auth", token=stolen)
        assert answer["data"]["message"] == "Token has been revoked"


async def test_garbage_costs_nobody_else_anything(served: Served) -> None:
    """Bytes that are no HTTP, and sockets that are reset, leave the others and the log alone."""
    host, port = served.url.removeprefix("ws://").split("/")[0].split(":")
    async with AsyncExitStack() as stack:
        ann = await member(stack, served, "ann", "hall")
        for garbage in (b"\x00" * 64, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01", b"GET /rooms"):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            writer.transport.abort()
        await ann.say("message", "m", roomId="hall", content=json.dumps({"a": 1}))
        assert (await ann.hear_until("ack"))["data"]["offset"] == 1
