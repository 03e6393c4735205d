"""Every ending of a Socket.IO session at every moment of its upgrade, over every listener: none is silent."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import product
from typing import Any, Final

import pytest

from portward.engines.port import EngineUnavailable
from portward.model.disconnects import Disconnect
from portward.node.sessions.session import Session
from portward.protocols.socketio import codes
from tests.e2e.gateways import LISTENERS, TOKENS, UNLIMITED, Place, until
from tests.e2e.socketio_client import token
from tests.e2e.socketio_gateways import DASHBOARD, FREE, ROLES
from tests.e2e.socketio_raw import polling
from tests.e2e.socketio_upgrade import MOMENTS, Heard, Mover, mover

UNSAID: Final = {Disconnect.NORMAL, Disconnect.GOING_AWAY, Disconnect.SHUTDOWN}
"""Endings that have no event `error`."""
each_moment = pytest.mark.parametrize("moment", MOMENTS)


@pytest.fixture(params=sorted(LISTENERS))
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A gateway behind each listener, where no limit gets in the way."""
    async with LISTENERS[request.param](FREE) as running:
        yield running


def session_of(place: Place, user: str) -> Session:
    """The session of a user."""
    (found,) = [each for each in place.gateway.node.registry if each.user == user]
    return found


async def member(client: Mover, user: str, **claims: Any) -> None:
    """Come in, by polling."""
    await client.enter({"token": token(user, **claims)})
    while not any(each.startswith("0{") for each in client.packets):
        for packet in (await client.peer.get()).text.split("\x1e"):
            client.note(packet)
    client.packets.clear()


def told(heard: Heard, code: str, ending: Disconnect, moment: str) -> None:
    """The client was told this code, whether it may come back, and by the right transport."""
    assert heard.errors() == ([] if ending in UNSAID else [code])
    assert ("1" in heard.packets) is not ending.reconnect, heard.packets
    if moment in {"probed", "upgraded"}:
        assert (heard.code, heard.probe_code) == (ending.code, None)
    elif moment == "connected":
        assert heard.probe_code == ending.code


# -- endings of those who are in


@each_moment
async def test_every_ending(place: Place, moment: str) -> None:
    """Whatever ends a session, its client hears the code, and is sent out unless it may come back."""
    for ending in set(Disconnect) - {Disconnect.NORMAL}:  # which is the client's own
        if ending is Disconnect.NO_PONG and moment in {"polling", "connected"}:
            continue  # a client that answers no ping polls no more
        async with mover(place.base) as client:
            user = ending.name.lower()
            await member(client, user)
            await client.move(moment)
            session_of(place, user).end(ending, "test")
            told(await client.end(), codes.ending_code(ending), ending, moment)
    await until(lambda: place.gateway.node.admission_control.inside == 0)
    assert len(place.gateway.engine_io.sessions) == 0


Trigger = Callable[[Place, Mover, str], Awaitable[None]]


async def _revoke(place: Place, _: Mover, user: str) -> None:
    await place.gateway.revoke(user=user)


async def _disconnect(place: Place, _: Mover, user: str) -> None:
    await place.gateway.disconnect(user)


async def _faults(_: Place, client: Mover, __: str) -> None:
    for number in range(20):
        await client.say(f'2{number}["nonsense"]')


async def _protocol(_: Place, client: Mover, __: str) -> None:
    await client.say("2{}")


async def _foreign(_: Place, client: Mover, __: str) -> None:
    await client.say(f'20["token_refresh",{{"token":"{token("mallory")}"}}]')


async def _slow(place: Place, client: Mover, __: str) -> None:
    await client.say(f'20["join_room",{{"room":"{DASHBOARD}"}}]')
    await until(lambda: any(place.gateway.channels().values()))
    while len(place.gateway.node.registry):
        for _ in range(20):
            await place.gateway.workspaces.emit(DASHBOARD, "flood", "x" * 60_000)
        await asyncio.sleep(0)


TRIGGERS: Final[dict[str, tuple[Trigger, str, Disconnect]]] = {
    "revoked": (_revoke, "REVOKED", Disconnect.REVOKED),
    "disconnected": (_disconnect, "REVOKED", Disconnect.REVOKED),
    "faults": (_faults, "TOO_MANY_FAULTS", Disconnect.TOO_MANY_FAULTS),
    "protocol": (_protocol, "PROTOCOL_ERROR", Disconnect.PROTOCOL_ERROR),
    "foreign token": (_foreign, "INVALID_TOKEN", Disconnect.AUTH_FAILED),
    "slow": (_slow, "SLOW", Disconnect.SLOW),
}


@each_moment
async def test_an_ending_as_it_comes_about(place: Place, moment: str) -> None:
    """An ending with its real cause is heard the same way."""
    for number, (trigger, code, ending) in enumerate(TRIGGERS.values()):
        async with mover(place.base) as client:
            await member(client, f"u{number}")
            await client.move(moment)
            await trigger(place, client, f"u{number}")
            told(await client.end(), code, ending, moment)
        await until(lambda: place.gateway.node.admission_control.inside == 0)


@pytest.mark.parametrize("runner", sorted(LISTENERS))
async def test_an_expiry(runner: str) -> None:
    """A token that runs out is heard of, and the client may come back."""
    leeway = FREE.replace("[tokens]", '[tokens]\nleeway = "0s"')
    async with LISTENERS[runner](leeway) as place, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(mover(place.base)) for _ in MOMENTS]
        for moment, client in zip(MOMENTS, clients, strict=True):
            await member(client, moment, ttl=2)
        sessions = [session_of(place, moment) for moment in MOMENTS]
        for moment, client in zip(MOMENTS, clients, strict=True):
            await client.move(moment)
        await until(lambda: not any(session.alive for session in sessions))
        heard = await asyncio.gather(*(client.end() for client in clients))
        for moment, each in zip(MOMENTS, heard, strict=True):
            told(each, "EXPIRED", Disconnect.EXPIRED, moment)


@each_moment
async def test_a_drain(place: Place, moment: str) -> None:
    """A node that leaves says when to come back, and closes."""
    async with mover(place.base) as client:
        await member(client, "ann")
        await client.move(moment)
        draining = asyncio.create_task(place.gateway.drain(5.0))
        heard = await client.end()
        told(heard, "", Disconnect.SHUTDOWN, moment)
        assert any(each.startswith('2["shutdown",{"retryMs":') for each in heard.packets)
        await draining


# -- refused CONNECTs

BAD: Final[dict[str, tuple[dict[str, Any] | None, str]]] = {
    "none": (None, "AUTH_REQUIRED"),
    "empty": ({"token": ""}, "AUTH_REQUIRED"),
    "nonsense": ({"token": "x"}, "INVALID_TOKEN"),
    "expired": ({"token": token("ann", ttl=-3600)}, "INVALID_TOKEN"),
    "forged": (
        {"token": token("ann", secret="a secret of somebody else, long enough for it")},
        "INVALID_TOKEN",
    ),
    "revoked": ({"token": token("ann", jti="gone")}, "INVALID_TOKEN"),
}


async def test_a_refused_connect(place: Place) -> None:
    """Who is not let in is told why and sent out."""
    await place.gateway.revoke(jti="gone")
    for moment, (auth, code) in product(MOMENTS, BAD.values()):
        async with mover(place.base) as client:
            await client.move(moment)
            await client.enter(auth)
            heard = await client.end()
            assert heard.packets[0].startswith('0{"sid":')
            told(heard, code, Disconnect.AUTH_FAILED, moment)


@pytest.mark.parametrize("runner", sorted(LISTENERS))
async def test_a_refused_connect_as_an_error(runner: str) -> None:
    """With `refuse = "connect_error"` the code comes in a CONNECT_ERROR."""
    async with LISTENERS[runner](
        FREE + '[endpoints.workspaces]\nrefuse = "connect_error"\n'
    ) as place:
        await place.gateway.revoke(jti="gone")
        for moment, (auth, code) in product(MOMENTS, BAD.values()):
            async with mover(place.base) as client:
                await client.move(moment)
                await client.enter(auth)
                heard = await client.end()
                (packet,) = heard.packets
                assert packet.startswith("4{")
                assert f'"data":{{"code":"{code}"}}' in packet
                assert heard.code in {None, Disconnect.AUTH_FAILED.code}


@pytest.mark.parametrize("runner", sorted(LISTENERS))
async def test_no_room(runner: str) -> None:
    """A connection over the number of its address is told so."""
    own = "[endpoints.workspaces.limits.connections]\nmax = 1\n"
    base = TOKENS + UNLIMITED + ROLES + own
    async with LISTENERS[runner](base) as place, polling(place.base[5:], "/socket.io/"):
        for moment in MOMENTS:
            async with mover(place.base) as client:
                await client.move(moment)
                await client.enter({"token": token("ann")})
                told(
                    await client.end(), "TOO_MANY_CONNECTIONS", Disconnect.CONNECTION_LIMIT, moment
                )


async def test_a_store_that_is_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot be judged now is told so, and may come back."""

    async def unavailable(*_: object) -> bool:
        raise EngineUnavailable

    monkeypatch.setattr(place.gateway.node.context.stores.revocations, "is_revoked", unavailable)
    for moment in MOMENTS:
        async with mover(place.base) as client:
            await client.move(moment)
            await client.enter({"token": token("ann")})
            told(await client.end(), "UNAVAILABLE", Disconnect.INTERNAL, moment)


# -- the last step that never comes


async def test_no_last_step(place: Place) -> None:
    """A client that never takes the last step is given two seconds; then its polls are refused."""
    async with mover(place.base) as client:
        await client.move("probed")
        await client.enter({"token": "x"})
        began = time.monotonic()
        assert await client.drain() == Disconnect.AUTH_FAILED.code
        assert time.monotonic() - began > 1
        assert (await client.peer.get()).status_code == 400
        await until(lambda: place.gateway.node.admission_control.inside == 0)


async def test_the_words_come_by_poll_meanwhile(place: Place) -> None:
    """Until the last step a poll gets the reason, too; the close is left to the WebSocket."""
    async with mover(place.base) as client:
        await client.move("probed")
        await client.enter({"token": "x"})
        texts = (await client.peer.get()).text.split("\x1e")
        assert texts[1:] == ['42["error",{"code":"INVALID_TOKEN"}]', "41"]
        assert (await client.peer.get()).text == "6"
        await client.send("5")
        assert await client.drain() == Disconnect.AUTH_FAILED.code
        assert client.packets == []
