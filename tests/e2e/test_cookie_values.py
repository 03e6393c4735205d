"""Session cookies with percent signs, as Express writes them, through a running gateway."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import unquote

import pytest
from websockets.asyncio.client import ClientConnection

from tests.e2e.listeners import PATIENCE
from tests.reload.case import ClientSide
from tests.reload.process import ORIGIN, GatewayProcess, serving
from tests.reload.web import Web, web_server

GIVEN: Final = {
    "identity_provider.cookies": ["connect.sid"],
    "identity_provider.cookie_values": "any",
    "identity_provider.revalidate": "1s",
}


class Sessions:
    """An application with sessions: it decodes the cookie once, and knows who is logged in."""

    def __init__(self, web: Web) -> None:
        self.known: dict[str, str] = {}
        web.answer("/users/me", self.answer)

    def answer(self, cookies: str) -> tuple[int, Any]:
        """Whose session it is."""
        value = cookies.partition("=")[2].strip('"')
        user = self.known.get(unquote(value))
        return (200, {"data": {"id": user}}) if user else (401, {"errors": []})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, Sessions]]:
    """A gateway before such an application."""
    with web_server() as web:
        sessions = Sessions(web)
        with serving(tmp_path_factory.mktemp("cookies"), web, GIVEN) as running:
            yield running, sessions


async def status(client: ClientSide, value: str) -> int:
    """What a page with this cookie is answered."""
    return await client.status("/live", Origin=ORIGIN, Cookie=f"connect.sid={value}")


async def closed(socket: ClientConnection) -> int | None:
    """The code a connection is closed with."""
    await asyncio.wait_for(socket.wait_closed(), PATIENCE)
    return socket.close_code


async def test_a_session_comes_in_and_is_taken_back_under_every_spelling(
    gateway: tuple[GatewayProcess, Sessions],
) -> None:
    """A login with `%` comes in; once revoked it is refused however it is spelled; a new login is not."""
    running, sessions = gateway
    sessions.known = {"s:abc.x+y=": "ann", "s:new.z+y=": "ann", "s:other.k=": "bob"}
    async with AsyncExitStack() as stack:
        client = ClientSide(running, stack)
        page = await client.page(cookie="connect.sid=s%3Aabc.x%2By%3D")
        other = await client.page(cookie="connect.sid=s%3Aother.k%3D")
        await running.call("revoke", user="ann")
        assert await closed(page) == 3503
        respelt = ["s%3Aabc.x%2By%3D", "s:abc.x%2By=", "%73%3Aabc%2Ex%2By%3d", '"s%3Aabc.x%2By%3D"']
        assert [await status(client, value) for value in respelt] == [401] * 4
        await other.send(json.dumps({"type": "ping"}))
        assert await status(client, "s%3Aother.k%3D") == 101
        sessions.known.pop("s:abc.x+y=")
        assert await status(client, "s%3Anew.z%2By%3D") == 101


async def test_json_is_refused_for_its_form(gateway: tuple[GatewayProcess, Sessions]) -> None:
    """What Express would read as JSON is refused unasked, and the log has the reason."""
    running, sessions = gateway
    sessions.known = {"j:1": "ann"}
    async with AsyncExitStack() as stack:
        client = ClientSide(running, stack)
        asked = len(running.web.asked)
        assert [await status(client, value) for value in ("j%3A1", "j:1")] == [401, 401]
        assert len(running.web.asked) == asked
    line = await running.logged("auth.fail", lambda fields: fields["reason"] == "cookie_form")
    assert "j%3A1" not in json.dumps(line)
