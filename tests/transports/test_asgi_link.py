import asyncio
from typing import Any

import pytest

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.limits import CLOSE_TIME, OUTBOX_AGE, OUTBOX_COUNT, UNAUTHENTICATED_MESSAGE
from portward.testing.clock import FakeClock
from portward.transports.asgi_link import AsgiLink, Event
from portward.wire import message
from tests.transports.running_listener import FakeSession, until

ONE = Channel("a:one")


class Connection:
    """A link that runs between a session and a server whose hands we are."""

    def __init__(self, limit: int = 65536) -> None:
        self.clock = FakeClock()
        self.link = AsgiLink(self.clock, limit)
        self.session = FakeSession(self.link)
        self.link.begin(self.session)
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.sent: list[Event] = []
        self.taking = asyncio.Event()
        self.taking.set()
        self.error: Exception | None = None
        self.running = asyncio.ensure_future(self.link.run(self.events.get, self.send))

    async def send(self, event: Event) -> None:
        """Take an event, when the test lets it."""
        await self.taking.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(event)

    def comes(self, **event: Any) -> None:
        """Let the peer send."""
        self.events.put_nowait({"type": "websocket.receive", **event})

    def leaves(self, **event: Any) -> None:
        """Let the peer leave."""
        self.events.put_nowait({"type": "websocket.disconnect", **event})

    async def settle(self) -> None:
        """Let everything that can happen, happen."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def connection() -> Connection:
    """A connection that was just opened."""
    return Connection()


async def test_messages_of_the_peer_reach_the_session(connection: Connection) -> None:
    """Text and binary, each counted as one frame; servers may send the other key as None."""
    connection.comes(text="héllo")
    connection.comes(text=None, bytes=b"\x00")
    connection.comes(bytes=b"", text=None)
    await connection.settle()

    assert connection.session.messages == [
        ("héllo".encode(), False),
        (b"\x00", True),
        (b"", True),
    ]
    assert connection.session.controls == [False] * 3


async def test_messages_of_the_session_reach_the_peer(connection: Connection) -> None:
    """Each payload is a message of its own, in order."""
    connection.link.write(message.join([message.text(b"one"), message.text("zwö".encode())]))
    connection.link.write(message.binary(b"\x00"))
    await connection.settle()

    assert connection.sent == [
        {"type": "websocket.send", "text": "one"},
        {"type": "websocket.send", "text": "zwö"},
        {"type": "websocket.send", "bytes": b"\x00"},
    ]
    assert connection.link.unsent() == 0


@pytest.mark.parametrize(
    ("event", "code"), [({"code": 1001}, 1001), ({}, 1005), ({"code": 1006}, None)]
)
async def test_the_session_learns_how_the_peer_left(
    connection: Connection, event: dict[str, int], code: int | None
) -> None:
    """The close code is told, and that there was none."""
    connection.leaves(**event)
    await connection.running

    assert connection.session.losses == [code]
    assert not connection.link.open
    connection.link.write(message.text(b"late"))
    connection.link.close(1000, "")
    connection.link.abort()
    assert connection.sent == []


@pytest.mark.parametrize("authenticated", [False, True])
async def test_a_message_over_the_limit_ends_the_connection(
    connection: Connection, authenticated: bool
) -> None:
    """Before authentication the limit is smaller."""
    if authenticated:
        connection.link.authenticated()
    connection.comes(bytes=bytes(UNAUTHENTICATED_MESSAGE + 1))
    await connection.settle()

    assert connection.session.endings == ([] if authenticated else [Disconnect.TOO_BIG])
    assert len(connection.session.messages) == authenticated


async def test_a_frame_the_session_does_not_want_is_ignored(connection: Connection) -> None:
    """Over its rate limits the session hears no more."""
    connection.session.allowed = False
    connection.comes(text="x")
    await connection.settle()

    assert connection.session.messages == []


async def test_an_error_in_the_session_ends_its_connection(connection: Connection) -> None:
    """A bug while serving a message is reported, and closes with 1011."""
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    connection.session.on_message, connection.session.ends_itself = fail, False
    connection.comes(text="x")
    await connection.settle()

    assert [type(error) for error in told] == [ZeroDivisionError]
    assert connection.sent == [{"type": "websocket.close", "code": 1011, "reason": ""}]


async def test_a_paused_link_takes_nothing_from_the_server(connection: Connection) -> None:
    """Back-pressure is left to the server, which holds what comes."""
    connection.link.pause()
    connection.comes(text="one")
    connection.comes(text="two")
    connection.comes(text="three")
    await connection.settle()
    # The server had already been asked for one event.
    assert len(connection.session.messages) <= 1

    connection.link.resume()
    await connection.settle()

    assert len(connection.session.messages) == 3


async def test_closing_sends_what_is_queued_and_then_closes(connection: Connection) -> None:
    """The session is told when the server says that the peer is gone."""
    connection.link.write(message.text(b"last"))
    connection.link.close(3001, "shutdown")
    connection.link.write(message.text(b"late"))
    connection.link.close(1000, "")
    connection.comes(text="ignored")
    await connection.settle()

    assert connection.sent == [
        {"type": "websocket.send", "text": "last"},
        {"type": "websocket.close", "code": 3001, "reason": "shutdown"},
    ]
    assert connection.session.losses == []
    connection.leaves(code=3001)
    await connection.running
    assert connection.session.losses == [3001]
    assert connection.session.messages == []
    assert connection.clock.pending == 0


async def test_a_server_that_never_finishes_the_close_is_left(connection: Connection) -> None:
    """After two seconds the application returns, and the server drops the rest."""
    connection.link.close(1000, "")
    await connection.settle()
    connection.clock.advance(CLOSE_TIME)
    await connection.running

    assert connection.session.losses == [None]


async def test_aborting_returns_to_the_server_although_it_is_sending(
    connection: Connection,
) -> None:
    """A peer that does not read cannot hold the application."""
    connection.taking.clear()
    connection.link.write(message.text(b"stuck"))
    await connection.settle()
    connection.link.abort()
    await connection.running

    assert connection.session.losses == [None]


async def test_a_server_that_stops_the_application_ends_the_session(
    connection: Connection,
) -> None:
    """Cancellation from outside still tells the session, once."""
    await connection.settle()
    connection.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connection.running

    assert connection.session.losses == [None]


async def test_an_error_of_send_ends_the_connection(connection: Connection) -> None:
    """Whatever a server raises for a client that is gone, it is an end and no error."""
    connection.error = OSError("gone")
    connection.link.write(message.text(b"x"))
    await connection.running

    assert connection.session.losses == [None]


async def test_a_slow_peer_is_reported_by_count(connection: Connection) -> None:
    """What the server does not take waits in a bounded queue."""
    connection.taking.clear()
    connection.link.write(message.text(b"first"))
    await connection.settle()
    for _ in range(OUTBOX_COUNT + 5):
        connection.link.write(message.text(b"x"), ONE)
    assert connection.session.slows == 1
    assert connection.link.unsent() == 7 + OUTBOX_COUNT * 3

    connection.link.drop(ONE)
    assert connection.link.unsent() == 7
    for _ in range(OUTBOX_COUNT + 5):
        connection.link.write(message.text(b"x"), ONE)
    assert connection.session.slows == 2
    connection.link.discard()
    assert connection.link.unsent() == 7


async def test_a_slow_peer_is_reported_by_age(connection: Connection) -> None:
    """A message that the server has not taken for ten seconds makes the peer slow."""
    connection.taking.clear()
    connection.link.write(message.text(b"first"))
    await connection.settle()
    assert not connection.link.stale(connection.clock.monotonic() + OUTBOX_AGE)
    connection.clock.advance(OUTBOX_AGE + 0.1)

    assert connection.link.stale(connection.clock.monotonic())
    connection.link.write(message.text(b"second"))
    assert connection.session.slows == 1


async def test_a_ping_reports_life(connection: Connection) -> None:
    """The server sees to dead peers: to the session its connections always answer."""
    connection.link.ping()
    assert connection.session.controls == []
    await connection.settle()
    assert connection.session.controls == [True]
    connection.link.close(1000, "")
    connection.link.ping()
    connection.link.pong(b"never sent")
    await connection.settle()

    assert connection.session.controls == [True]
    assert [event["type"] for event in connection.sent] == ["websocket.close"]


async def test_everything_is_over_when_the_test_is(connection: Connection) -> None:
    """A link that runs can be ended by its session at any time."""
    await connection.settle()
    connection.link.abort()
    await until(connection.running.done)

    assert connection.session.losses == [None]
