"""Events that real clients kept while they were offline, and send at once: every one is answered."""

from typing import Final

import pytest

from tests.e2e.gateways import TOKENS, own_listener
from tests.e2e.socketio_client import CLIENTS, MODES, Tab, browsing, token
from tests.e2e.socketio_gateways import CROWDED, DASHBOARD, ROLES
from tests.e2e.socketio_relay import network

EVENTS: Final = 100
"""Kept by a client; the limit is sixty messages a minute."""
LEFT: Final = {"left": DASHBOARD}


async def emit_offline(tab: Tab) -> list[int]:
    """Have the client emit events while it is not connected, and wait for an answer to each."""
    return [tab.start("leave_room", {"room": DASHBOARD}) for _ in range(EVENTS)]


def judged(answers: list[object], done: int) -> None:
    """At least so many were within the limit and done; the rest was refused."""
    refused = [answer for answer in answers if answer != LEFT]
    assert len(answers) - len(refused) >= done
    assert refused
    for answer in refused:
        assert isinstance(answer, dict)
        assert answer["error"] == "RATE_LIMITED"
        assert answer["retryMs"] > 0


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("mode", list(MODES))
async def test_an_offline_buffer(mode: str, client: str) -> None:
    """A hundred events that were kept offline are answered, those over the limit too, and it goes on."""
    async with (
        own_listener(TOKENS + ROLES + CROWDED) as place,
        browsing() as tabs,
        network(place.base.removeprefix("ws://")) as between,
    ):
        auth = {"token": token("ann")}
        tab = tabs.open(between.url, auth, client=client, autoConnect=False, **MODES[mode])
        kept = await emit_offline(tab)
        tab.order("call", method="connect")
        await tab.connected()
        judged([await tab.answer(number) for number in kept], 50)

        between.fail()
        await tab.told("disconnect")
        kept = await emit_offline(tab)
        between.up = True
        await tab.connected()
        judged([await tab.answer(number) for number in kept], 0)
        assert len(place.gateway.connections("ann")) == 1
        assert not [each for each in tab.records if each["kind"] == "disconnect"]
