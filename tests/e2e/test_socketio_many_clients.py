"""Five hundred real clients whose sessions end at random while their transport changes: each is told so."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final

import pytest

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import Identity
from portward.node.rights.credentials import CredentialVerifier
from portward.protocols.socketio import codes
from portward.protocols.socketio.server import Socket
from tests.e2e.gateways import Place, own_listener
from tests.e2e.socketio_client import CLIENTS, Tab, Tabs, browsing, token
from tests.e2e.socketio_gateways import FREE
from tests.e2e.socketio_relay import network

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

CLIENTS_IN_ALL: Final = 500
AT_ONCE: Final = 25
DELAY: Final = 0.02
"""Seconds each way: a change of transport takes about six of them."""
LATEST: Final = 0.25
"""Seconds after a client came in, or asked to, within which its session ends."""
UNTOLD: Final = {Disconnect.NORMAL, Disconnect.GOING_AWAY, Disconnect.SHUTDOWN, Disconnect.NO_PONG}
"""Endings without a code, or whose client is not there."""
ENDINGS: Final = [each for each in Disconnect if each not in UNTOLD]
REFUSALS: Final[list[tuple[Any, str, Disconnect]]] = [
    ({}, "AUTH_REQUIRED", Disconnect.AUTH_FAILED),
    ({"token": "nonsense"}, "INVALID_TOKEN", Disconnect.AUTH_FAILED),
    ({"token": "revoked"}, "INVALID_TOKEN", Disconnect.AUTH_FAILED),
    ({"token": "unavailable"}, "UNAVAILABLE", Disconnect.INTERNAL),
    ({"token": "limited"}, "RATE_LIMITED", Disconnect.TOO_MANY_REQUESTS),
]
FAULTS: Final[dict[str, Callable[[], Exception]]] = {
    "nonsense": lambda: CommandError(ErrorKind.AUTHENTICATION_FAILED),
    "revoked": lambda: CommandError(ErrorKind.TOKEN_REVOKED),
    "unavailable": Unavailable,
    "limited": lambda: CommandError(ErrorKind.AUTH_RATE_LIMITED),
}
OPTIONS: Final = {"reconnection": False}


class Fate:
    """One client, and what is to become of it."""

    def __init__(self, number: int) -> None:
        self.user = f"u{number}"
        self.client = CLIENTS[number % len(CLIENTS)]
        self.auth: Any
        if number % 2:
            self.auth, self.code, self.ending = REFUSALS[number // 2 % len(REFUSALS)]
        else:
            self.ending = ENDINGS[number // 2 % len(ENDINGS)]
            self.code = codes.ending_code(self.ending)
            self.auth = {"token": token(self.user)}

    def open(self, tabs: Tabs, url: str) -> Tab:
        """Let the client begin."""
        return tabs.open(url, self.auth, client=self.client, **OPTIONS)

    async def fulfilled(self, tab: Tab) -> None:
        """The client was told the code, and whether it may come back."""
        assert (await tab.heard("error"))["code"] == self.code, self.user
        told = await tab.told("disconnect")
        sent_out = told["reason"] == "io server disconnect"
        assert sent_out is not self.ending.reconnect, (self.user, told)


def end_at_random(place: Place, fates: dict[str, Fate], random: Random) -> None:
    """End each session some time after its client came in."""
    loop = asyncio.get_running_loop()
    sessions = place.gateway.node.registry

    def came(socket: Socket, _: dict[str, Any]) -> None:
        (session,) = [each for each in sessions if each.id == socket.client]
        ending = fates[str(socket.user)].ending
        loop.call_later(random.uniform(0, LATEST), session.end, ending, "test")

    place.gateway.workspaces.namespace().on("connect", came)


def judge_slowly(random: Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take some time over each token, and refuse the ones that say how."""
    identify = CredentialVerifier.identify

    async def slowly(self: CredentialVerifier, given: str) -> Identity:
        fault = FAULTS.get(given)
        if fault is None:
            return await identify(self, given)
        await asyncio.sleep(random.uniform(0, LATEST))
        raise fault()

    monkeypatch.setattr(CredentialVerifier, "identify", slowly)


async def test_endings_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends a session, and at whatever moment of its upgrade, its client is told why."""
    random = Random(7)
    fates = [Fate(number) for number in range(CLIENTS_IN_ALL)]
    judge_slowly(random, monkeypatch)
    async with own_listener(FREE) as place, browsing() as tabs:
        end_at_random(place, {each.user: each for each in fates}, random)
        async with network(place.base.removeprefix("ws://"), DELAY) as between:
            for first in range(0, CLIENTS_IN_ALL, AT_ONCE):
                batch = fates[first : first + AT_ONCE]
                opened = [(each, each.open(tabs, between.url)) for each in batch]
                await asyncio.gather(*(each.fulfilled(tab) for each, tab in opened))


async def test_a_drain_at_random() -> None:
    """So is every client of a node that leaves while they come in."""
    random = Random(8)
    for _ in range(4):
        async with (
            own_listener(FREE) as place,
            browsing() as tabs,
            network(place.base.removeprefix("ws://"), DELAY) as between,
        ):
            fates = [Fate(2 * number) for number in range(AT_ONCE)]
            opened = [each.open(tabs, between.url) for each in fates]
            await asyncio.gather(*(tab.connected() for tab in opened))
            await asyncio.sleep(random.uniform(0, LATEST))
            draining = asyncio.create_task(place.gateway.drain(5.0))
            for tab in opened:
                assert (await tab.heard("shutdown"))["retryMs"] > 0
                assert (await tab.told("disconnect"))["reason"] != "io server disconnect"
            await draining
