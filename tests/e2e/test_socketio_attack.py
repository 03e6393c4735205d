"""What hostile strangers, and members at their limits, may not do to Socket.IO clients; by hand."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.gateways import TOKENS, UNLIMITED, Place, own_listener, process
from tests.e2e.process import KEY
from tests.e2e.socketio_client import PATIENCE, token
from tests.e2e.socketio_gateways import CROWDED, FREE, REAL, ROLES
from tests.e2e.socketio_raw import TRANSPORTS, Polling, WebSocket

pytestmark = pytest.mark.p1

PATH = "/socket.io/"
FEW = 6
SPARING = (
    TOKENS
    + UNLIMITED.replace(
        '[limits.messages]\nrate = "none"\n', f'[limits.messages]\nrate = "{FEW}/h"\n'
    )
    + ROLES
    + '[endpoints.workspaces]\nauth_timeout = "10s"\n'
    + CROWDED
)
"""A few messages for each user, and for each address before anybody has proven who it is."""
LARGE, MANY = 30_000, 40

each_transport = pytest.mark.parametrize("transport", list(TRANSPORTS))


@asynccontextmanager
async def peer(place: Place, transport: str) -> AsyncIterator[Polling | WebSocket]:
    """An open session that has said nothing yet."""
    async with TRANSPORTS[transport](place.base.removeprefix("ws://"), PATH) as opened:
        yield opened


async def enter(client: Polling | WebSocket, user: str, workspace: str = "w1") -> None:
    """Connect to the root namespace with a good token."""
    await client.say("0" + json.dumps({"token": token(user, workspace)}))
    assert str(await client.message()).startswith('0{"sid":')


async def ask(client: Polling | WebSocket, event: str, argument: object) -> str:
    """Emit an event; its acknowledgement as it came."""
    await client.say("277" + json.dumps([event, argument]))
    while True:
        said = await client.message()
        assert said is not None, "the connection ended"
        if isinstance(said, str) and said.startswith("377"):
            return said[3:]


async def use_up(client: Polling | WebSocket) -> None:
    """Send as many messages as the limit allows, and the first one that it refuses."""
    for _ in range(FEW + 1):
        if "RATE_LIMITED" in await ask(client, "leave_room", {"room": "workspace:w1:dashboard"}):
            return
    pytest.fail("no limit was met")


async def until_answered(client: Polling | WebSocket, nsp: str) -> str:
    """The answer to a CONNECT: that the client is in, or that it is not; whatever else is said before."""
    while True:
        said = await client.message()
        assert said is not None, "the connection ended without an answer"
        if isinstance(said, str) and said[:1] in {"0", "4"} and said[1:].startswith(nsp):
            return said
        assert not str(said).startswith("377"), "a later event was answered, and the CONNECT never"


@each_transport
async def test_a_connect_over_the_limit_of_its_address(transport: str) -> None:
    """A stranger uses up what its address may say; a member behind it is told so, not left alone."""
    async with own_listener(SPARING) as place:
        async with peer(place, transport) as stranger:
            for _ in range(FEW):
                await stranger.say("0/nowhere,")
                assert str(await stranger.message()).startswith("4/nowhere,")
        async with peer(place, transport) as member:
            await member.say("0" + json.dumps({"token": token("ann")}))
            await until_answered(member, "{")


@each_transport
async def test_a_connect_over_the_limit_of_its_user(transport: str) -> None:
    """Who enters another namespace over its limit is answered, as every CONNECT is."""
    async with own_listener(SPARING) as place:
        place.gateway.workspaces.namespace("/editor")
        async with peer(place, transport) as member:
            await enter(member, "ann")
            await use_up(member)
            await member.say("0/editor,")
            await member.say('277["leave_room",{"room":"workspace:w1:dashboard"}]')
            await until_answered(member, "/editor,")


@each_transport
async def test_leaving_over_the_limit(transport: str) -> None:
    """Who leaves a namespace over its limit has left: it hears nothing more, and may come back."""
    async with own_listener(SPARING) as place, peer(place, transport) as member:
        await enter(member, "ann")
        await ask(member, "join_room", {"room": "workspace:w1:dashboard"})
        await use_up(member)
        await member.say("1")
        await member.say("0")
        await place.gateway.workspaces.emit("workspace:w1:dashboard", "news", 1)
        await until_answered(member, "{")


@each_transport
async def test_many_requests_that_wait(transport: str) -> None:
    """Who joins a room where much waits for a decision is sent all of it, by polling, too."""
    async with own_listener(FREE) as place:
        for number in range(MANY):
            await place.gateway.workspaces.request_approval("w1", str(number), "x" * LARGE)
        async with peer(place, transport) as member:
            await enter(member, "ann")
            await member.say('20["join_room",{"room":"workspace:w1:approvals"}]')
            heard = [str(await member.message()) for _ in range(MANY + 1)]
            assert heard[0] == '30[{"joined":"workspace:w1:approvals"}]'
            assert all(each.startswith('2["approval_requested",') for each in heard[1:])


async def test_a_workspace_without_rooms() -> None:
    """Nothing can be done in a workspace whose name no room can have, as nobody would hear of it."""
    async with own_listener(FREE) as place, peer(place, "websocket") as member:
        await enter(member, "ann", "w1:inner")
        refused = await ask(member, "join_room", {"room": "workspace:w1:inner:dashboard"})
        assert '"error"' in refused
        assert await ask(member, "dashboard_action", {"action": "go"}) == (
            '[{"error":"PERMISSION_DENIED"}]'
        )


async def test_an_id_with_a_slash(tmp_path: Path) -> None:
    """A request for approval that is kept under an id can be read by it."""
    async with (
        process(tmp_path, REAL) as served,
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http,
    ):
        base, key = f"{served.admin.rstrip('/')}/api/approvals", {"X-API-Key": KEY}
        wanted = {"workspace": "w1", "title": "T", "id": "orders/7"}
        kept = await http.post(base, json=wanted, headers=key)
        if kept.status_code == 200:
            read = await http.get(f"{base}/{quote('orders/7', safe='')}", headers=key)
            assert read.status_code == 200
        else:
            assert kept.status_code == 400
