"""One conversation through every listener: what a client receives does not depend on who serves it."""

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from portward.client import ClientError, RoomsClient
from portward.transports.listener import Listener
from portward.transports.listener_state import ListenerState
from tests.e2e.listeners import LISTENERS, PATIENCE, EnvelopeClient, GatewayRunner, gateway
from tests.transports.running_listener import certificate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(params=list(LISTENERS))
def runner(request: pytest.FixtureRequest) -> GatewayRunner:
    """Each listener in turn."""
    return LISTENERS[request.param]


async def test_conversation(runner: GatewayRunner) -> None:
    """Two users join, talk, ask who is there and read back, in the same words everywhere."""
    async with runner() as (gateway, url), connect(url) as one, connect(url) as two:
        ann, bob = EnvelopeClient(one), EnvelopeClient(two)
        assert (await ann.hear())["type"] == "handshake"
        assert (await bob.hear())["type"] == "handshake"
        answer = await ann.ask("join", roomId="lobby")
        assert answer["data"] == {"message": "Not authenticated", "code": "not_authenticated"}
        proved = await ann.ask("auth", token=gateway.token("ann", roles=["user"]))
        assert proved["data"]["user"] == {"userId": "ann", "email": None, "roles": ["user"]}
        await bob.ask("auth", token=gateway.token("bob", roles=["user"]))
        joined = await ann.ask("join", roomId="lobby")
        assert joined["data"]["participants"] == ["ann"]
        await bob.ask("join", roomId="lobby")
        assert (await ann.hear_until("user_joined"))["data"]["userId"] == "bob"
        acknowledged = await bob.ask("message", roomId="lobby", content=" hello ")
        heard = await ann.hear_until("message")
        assert heard["data"]["content"] == "hello"
        assert heard["data"]["id"] == acknowledged["data"]["messageId"]
        history = await ann.ask("history", roomId="lobby")
        assert [each["content"] for each in history["data"]["messages"]] == ["hello"]
        presence = await ann.ask("presence", roomId="lobby")
        assert [each["userId"] for each in presence["data"]["participants"]] == ["ann", "bob"]
        await two.close()
        assert (await ann.hear_until("user_disconnected"))["data"]["userId"] == "bob"


async def test_backend_publishes(runner: GatewayRunner) -> None:
    """What the backend publishes is heard in order, and a returning client hears what it missed."""
    async with runner() as (gateway, url):
        async with connect(url) as one:
            ann = EnvelopeClient(one)
            await ann.ask("auth", token=gateway.token("ann", roles=["user"]))
            joined = await ann.ask("join", roomId="news")
            for number in range(3):
                await gateway.publish("rooms:news", f"item {number}")
            heard = [(await ann.hear_until("message"))["data"] for _ in range(3)]
            assert [each["offset"] for each in heard] == [1, 2, 3]
        await gateway.publish("rooms:news", "missed")
        since = {"offset": 3, "epoch": joined["data"]["position"]["epoch"]}
        async with connect(url) as again:
            ann = EnvelopeClient(again)
            await ann.ask("auth", token=gateway.token("ann", roles=["user"]))
            back = (await ann.ask("join", roomId="news", since=since))["data"]
            assert back["recovered"] is True
            assert [each["content"] for each in back["messages"]] == ["missed"]


async def test_revocation_ends_the_connection(runner: GatewayRunner) -> None:
    """A revoked token closes what is open with 3503 and is refused from then on."""
    async with runner() as (gateway, url):
        token = gateway.token("eve", roles=["user"])
        async with connect(url) as socket:
            eve = EnvelopeClient(socket)
            await eve.ask("auth", token=token)
            assert await gateway.revoke(token=token) == 1
            with pytest.raises(ConnectionClosed):
                await eve.hear_until("never")
            assert (socket.close_code, socket.close_reason) == (3503, "force disconnect")
        async with connect(url) as socket:
            answer = await EnvelopeClient(socket).ask("auth", token=token)
            assert answer["data"]["message"] == "Token has been revoked"


async def test_refusals(runner: GatewayRunner) -> None:
    """A foreign page and an unknown path are turned away before the upgrade."""
    async with runner() as (_, url):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, origin="https://evil.example").__aenter__()  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
        with pytest.raises(InvalidStatus) as lost:
            await connect(url + "x").__aenter__()
        assert lost.value.response.status_code == 404


async def test_binary_is_refused(runner: GatewayRunner) -> None:
    """A dialect of text ends a connection that sends bytes with 1003."""
    async with runner() as (_, url), connect(url) as socket:
        await socket.send(b"\x00")
        await asyncio.wait_for(socket.wait_closed(), PATIENCE)
        assert socket.close_code == 1003


async def test_drain_tells_everyone(runner: GatewayRunner) -> None:
    """A drain says goodbye in the dialect's words and closes with 3001."""
    async with runner() as (gateway, url), connect(url) as socket:
        ann = EnvelopeClient(socket)
        await ann.ask("auth", token=gateway.token("ann"))
        draining = asyncio.create_task(gateway.drain(1.0))
        assert (await ann.hear_until("shutdown"))["data"]["retryMs"] > 0
        await asyncio.wait_for(socket.wait_closed(), PATIENCE)
        assert socket.close_code == 3001
        await draining


async def test_own_client_over_tls(tmp_path: Path) -> None:
    """Portward's own client reaches a wss:// address with a context that trusts its certificate."""
    server_tls, client_tls = certificate(tmp_path)
    async with gateway() as running:
        lobby = ListenerState(running.front, running.node.clock, tls=server_tls)
        listener = Listener(lobby, "127.0.0.1", 0)
        await listener.start()
        port = listener.addresses[0][1]
        token = running.token("ann", roles=["user"])
        try:
            url = f"wss://localhost:{port}/rooms"
            async with RoomsClient(url, token=token, tls=client_tls) as ann:
                assert (await ann.join("lobby")).participants == ("ann",)
            with pytest.raises(ClientError):
                async with RoomsClient(url, token=token, reconnect=False):
                    pass
        finally:
            listener.close()
