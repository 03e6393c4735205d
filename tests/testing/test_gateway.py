"""A gateway without sockets, and clients that are method calls."""

from io import StringIO

import pytest

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.settings import Settings
from portward.testing import FakeClock, MemoryClient, connect, memory_gateway
from portward.testing.gateway import request
from portward.wire import message as wire


async def test_conversation() -> None:
    """The example of the documentation works."""
    async with memory_gateway() as gateway:
        ann = await connect(gateway, "/rooms")
        ann.send({"type": "auth", "data": {"token": gateway.token("ann", roles=["user"])}})
        assert ann.last("auth_success")["user"]["userId"] == "ann"
        ann.send({"type": "join", "data": {"roomId": "general"}})
        await gateway.publish("rooms:general", "hello")
        await ann.settle()
        assert ann.last("message")["content"] == "hello"
        assert [each["type"] for each in ann.all("message")] == ["message"]


async def test_log_and_clock() -> None:
    """The log goes where it is wanted, and time is the test's own."""
    log, clock = StringIO(), FakeClock()
    async with memory_gateway(Settings(), clock=clock, log=log) as gateway:
        client = await connect(gateway)
        clock.advance(31)
        assert client.closed == (1008, "Authentication timeout")
    assert "conn.open" in log.getvalue()


async def test_refused() -> None:
    """Who is not let in is told so, as a real client would be."""
    async with memory_gateway() as gateway:
        with pytest.raises(HandshakeRejected) as caught:
            await connect(gateway, "/rooms?x=1", origin="https://evil.example")
        assert caught.value.refusal is HandshakeRejection.ORIGIN


def test_request() -> None:
    """A handshake is well-formed, and any header of it can be replaced."""
    head = request("/rooms?a=b", peer="192.0.2.1", host="example.com", x_extra="1")
    assert (head.path, head.query, head.peer) == ("/rooms", "a=b", "192.0.2.1")
    assert (head.all("host"), head.all("x-extra")) == (["example.com"], ["1"])


async def test_nothing_of_that_kind() -> None:
    """Looking for what has not come says what has."""
    async with memory_gateway() as gateway:
        client = await connect(gateway)
        with pytest.raises(LookupError, match="handshake"):
            client.last("message")


def test_not_connected() -> None:
    """A client that was never connected has no session."""
    with pytest.raises(RuntimeError, match="not connected"):
        _ = MemoryClient().session


async def test_stopped_reading() -> None:
    """What is not read waits, in order, and can be dropped by channel; pings are not answered."""
    async with memory_gateway() as gateway:
        client = await connect(gateway)
        client.reading = False
        client.write(wire.text(b'{"type": "a"}'))
        client.ping()
        assert client.unsent() == len(wire.text(b'{"type": "a"}').frame)
        assert [each["type"] for each in client.received] == ["handshake"]
        client.read()
        assert [each["type"] for each in client.received] == ["handshake", "a"]
        assert client.unsent() == 0
        client.send_bytes(b"\x00", binary=True)
        assert client.closed == (1003, "")
        client.write(wire.text(b'{"type": "late"}'))
        assert client.all("late") == []


async def test_leaving_counts_once() -> None:
    """A client that leaves is gone once, whatever closes it meanwhile."""
    async with memory_gateway() as gateway:
        client = await connect(gateway)
        client.leave()
        client.leave(None)
        client.abort()
        client.close(1000, "")
        await client.settle()
        assert gateway.node.admission_control.inside == 0
        assert client.closed is None
