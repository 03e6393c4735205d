"""A page in a real browser, on an origin of its own: the right one works, every other is refused."""

from typing import Any

import pytest

from tests.e2e.gateways import Place, own_listener
from tests.e2e.socketio_chromium import address, browse, need_chromium, pages
from tests.e2e.socketio_client import MODES, token
from tests.e2e.socketio_gateways import DASHBOARD, FREE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def work(place: Place, port: int, host: str, mode: str) -> str:
    """The page of one user, with a client in one mode."""
    options = MODES[mode] | {"auth": {"token": token("ann")}}
    url = place.base.replace("ws:", "http:")
    asked: dict[str, Any] = {"url": url, "options": options, "room": DASHBOARD}
    return address(host, port, **asked, upgrades=mode == "default")


def mirror(_: object, argument: Any) -> Any:
    """Acknowledge with what came."""
    return argument


async def test_a_page_of_the_right_origin() -> None:
    """From a page of an allowed origin a client connects with credentials, upgrades, and does its work."""
    need_chromium()
    with pages() as port:
        origins = f'[gate]\nallowed_origins = ["http://localhost:{port}"]\n'
        async with own_listener(FREE + origins) as place:
            place.gateway.workspaces.namespace().on("mirror", mirror)
            urls = [work(place, port, "localhost", mode) for mode in MODES]
            outcomes = await browse(urls)
    transports = {"default": "websocket", "polling": "polling", "websocket": "websocket"}
    for mode, outcome in zip(MODES, outcomes, strict=True):
        assert outcome == {
            "joined": {"joined": DASHBOARD},
            "acted": {"ok": True},
            "update": {"action": "go", "payload": "żółw 🐢", "userId": "ann"},
            "bytes": [0, 1, 255],
            "transport": transports[mode],
            "again": "again",
        }


async def test_a_page_of_a_foreign_origin() -> None:
    """From any other page nobody connects on any transport, and the gateway makes no session."""
    need_chromium()
    with pages() as port:
        origins = f'[gate]\nallowed_origins = ["http://localhost:{port}"]\n'
        opened: list[str] = []
        async with own_listener(FREE + origins) as place:

            async def note(connection: Any) -> None:
                opened.append(connection.user)

            place.gateway.on_connect(note)
            hosts = ("evil.localhost", "127.0.0.1")
            urls = [work(place, port, host, mode) for host in hosts for mode in MODES]
            outcomes = await browse(urls)
            assert place.gateway.connections() == []
            assert place.gateway.node.admission_control.inside == 0
            log = place.log.getvalue()
    expected = {"default": "xhr poll error", "polling": "xhr poll error"}
    told = [expected.get(mode, "websocket error") for _ in hosts for mode in MODES]
    assert [each["refused"] for each in outcomes] == told
    assert opened == []
    assert log.count("origin.reject") >= len(urls)
