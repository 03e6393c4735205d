import asyncio

import pytest

from portward.client import (
    ClientError,
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    HandshakeRefused,
    StoppedError,
)
from tests.client.scripted import World, rooms_world, settle


async def connected(world: World, client: object) -> None:
    """Connect, under the fake clock."""
    connecting = asyncio.create_task(client.rooms.connect())  # type: ignore[attr-defined]
    await settle()
    await connecting


def waits(world: World) -> list[float]:
    """The waits that were announced."""
    return [wait for state, wait in world.states if state == "waiting" and wait is not None]


async def test_waits_grow_with_every_failed_attempt() -> None:
    """Each failed attempt doubles the range of the wait, up to 30 s, and any moment of it is drawn."""
    world, _ = rooms_world()
    world.draw = 1.0
    async with world.client() as client:
        world.troubles = [ConnectFailed("refused") for _ in range(8)]
        connecting = asyncio.create_task(client.rooms.connect())
        await world.advance(200)
        await connecting
    assert waits(world) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert [b - a for a, b in zip(world.dialled, world.dialled[1:], strict=False)] == pytest.approx(
        waits(world), abs=0.3
    )


@pytest.mark.parametrize("draws", [(0.1, 0.9), (0.0, 0.5), (0.3, 0.31)])
async def test_two_clients_wait_differently(draws: tuple[float, float]) -> None:
    """Two clients that lose the gateway at the same moment do not come back at the same moment."""
    found = []
    for draw in draws:
        world, _ = rooms_world()
        world.draw = draw
        async with world.client() as client:
            await connected(world, client)
            world.last.end(None)
            await settle()
            found += waits(world)
    assert found[0] != found[1]
    assert min(found) >= 0.05


@pytest.mark.parametrize(
    ("retry", "draw", "wait"),
    [(4.0, 0.0, 4.0), (4.0, 1.0, 5.0), (0.4, 1.0, 0.9), (0.0, 1.0, 0.5), (60.0, 0.5, 67.5)],
)
async def test_a_named_time_is_never_undercut(retry: float, draw: float, wait: float) -> None:
    """A wait that the gateway names is the least, and is spread by a quarter of it."""
    world, _ = rooms_world()
    world.draw = draw
    async with world.client() as client:
        await connected(world, client)
        world.last.say("shutdown", {"retryMs": int(retry * 1000)})
        world.last.end(3001, "shutdown")
        await settle()
        assert waits(world) == [pytest.approx(wait)]
        if wait > 0.5:
            await world.advance(wait - 0.3, 0.1)
            assert len(world.dialled) == 1
        await world.advance(1.0, 0.1)
        assert len(world.dialled) == 2


@pytest.mark.parametrize("kind", ["shutdown", "closing"])
async def test_every_announcement_of_a_close_names_a_time(kind: str) -> None:
    """The time of `closing` counts like that of `shutdown`."""
    world, _ = rooms_world()
    world.draw = 0.0
    async with world.client() as client:
        await connected(world, client)
        world.last.say(kind, {"reason": "expired", "retryMs": 2500})
        world.last.end(3005, "expired")
        await settle()
        assert waits(world) == [2.5]


async def test_retry_after_of_a_handshake() -> None:
    """`Retry-After` of a refused handshake is a named time."""
    world, _ = rooms_world()
    world.troubles = [HandshakeRefused(503, 7.0), HandshakeRefused(429)]
    world.draw = 1.0
    async with world.client() as client:
        connecting = asyncio.create_task(client.rooms.connect())
        await world.advance(20)
        await connecting
    assert waits(world) == [8.75, 1.0]


@pytest.mark.parametrize(("lasted", "wait"), [(4.0, 1.0), (6.0, 0.5)])
async def test_waits_begin_anew_after_a_connection_that_lasted(lasted: float, wait: float) -> None:
    """A ready connection of five seconds makes the next wait short again; a shorter one does not."""
    world, _ = rooms_world()
    world.draw = 1.0
    async with world.client() as client:
        await connected(world, client)
        world.last.end(None)
        await world.advance(1.0)
        assert client.rooms.state == "ready"
        await world.advance(lasted)
        world.last.end(None)
        await settle()
        assert waits(world) == [0.5, wait]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (3500, "invalid token"),
        (3501, "bad request"),
        (3503, "force disconnect"),
        (3504, "connection limit"),
        (3999, "x"),
        (4500, "x"),
        (1000, ""),
        (1002, ""),
        (1008, "policy violation"),
    ],
)
async def test_terminal_endings_stop_for_good(code: int, reason: str) -> None:
    """After a code that forbids it there is no further attempt; one callback says so, all settles."""
    world, _ = rooms_world()
    async with world.client() as client:
        room = client.room("lobby")
        joining = asyncio.create_task(room.join())
        await settle()
        await joining
        reading = asyncio.create_task(anext(room.__aiter__()))
        world.last.answers.pop("message")
        sending = asyncio.create_task(room.send("x"))
        await settle()
        world.last.end(code, reason)
        await world.advance(300, 10)
        assert client.rooms.state == "stopped"
        assert (len(world.dialled), len(world.stops)) == (1, 1)
        assert isinstance(world.stops[0], StoppedError)
        assert world.stops[0].close_code == code
        assert (await sending).status == "unknown"
        with pytest.raises(StoppedError):
            await reading
        assert (await room.send("y")).status == "refused"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (None, ""),
        (1001, ""),
        (1006, ""),
        (1011, ""),
        (1012, ""),
        (1013, ""),
        (1014, ""),
        (3000, "x"),
        (3001, "shutdown"),
        (3005, "expired"),
        (3008, "slow"),
        (3499, "x"),
        (4000, "x"),
        (1008, "Connection timeout"),
        (1008, "back-pressure threshold exceeded"),
    ],
)
async def test_other_endings_are_followed_by_another_attempt(code: int | None, reason: str) -> None:
    """Codes that invite a client back are followed by another connection."""
    world, _ = rooms_world()
    async with world.client() as client:
        await connected(world, client)
        world.last.end(code, reason)
        await world.advance(1.0)
        assert (client.rooms.state, len(world.dialled)) == ("ready", 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_handshakes_refused_for_good(status: int) -> None:
    """A status that waiting does not change stops the client."""
    world, _ = rooms_world()
    world.troubles = [HandshakeRefused(status)]
    async with world.client(get_token="fixed") as client:
        with pytest.raises(HandshakeRefused):
            await asyncio.wait_for(client.rooms.connect(), 5)
        assert client.rooms.state == "stopped"
        await world.advance(60, 5)
        assert len(world.dialled) == 1


async def test_connecting_again_after_a_stop() -> None:
    """A client that has stopped connects again when the application asks for it."""
    world, _ = rooms_world()
    async with world.client() as client:
        await connected(world, client)
        world.last.end(3503, "force disconnect")
        await settle()
        assert client.rooms.error is not None
        await connected(world, client)
        assert client.rooms.state == "ready"
        assert client.rooms.error is None


async def test_silence_is_probed_and_a_dead_link_found_in_35_seconds() -> None:
    """After 25 s without a message the client asks for a sign of life; after 10 s more it gives up."""
    world, _ = rooms_world()
    world.draw = 0.0
    async with world.client() as client:
        await connected(world, client)
        first = world.last
        first.frozen = True
        await world.advance(24.5)
        assert "heartbeat" not in first.kinds()
        await world.advance(1.0)
        assert first.kinds().count("heartbeat") == 1
        await world.advance(9.0)
        assert client.rooms.state == "ready"
        await world.advance(0.75)
        assert len(world.transports) == 2
        assert first.kinds().count("heartbeat") == 1


async def test_an_answered_probe_keeps_the_connection() -> None:
    """As long as the gateway answers, a quiet connection stays."""
    world, _ = rooms_world()
    async with world.client() as client:
        await connected(world, client)
        await world.advance(300, 0.5)
        assert len(world.transports) == 1
        assert 10 <= world.last.kinds().count("heartbeat") <= 12
        world.last.say("user_joined", {"roomId": "x", "userId": "bob"})
        await settle()
        assert client.rooms.state == "ready"


async def test_waking_up_with_a_dead_link() -> None:
    """After a sleep the link is probed, and given up two seconds later."""
    world, _ = rooms_world()
    world.draw = 0.0
    async with world.client() as client:
        await connected(world, client)
        world.last.frozen = True
        world.clock.set_wall(world.clock.time() + 3600)
        await world.advance(1.0, 0.25)
        assert world.transports[0].kinds().count("heartbeat") == 1
        await world.advance(2.25, 0.25)
        assert len(world.transports) == 2


async def test_waking_up_with_a_probe_under_way() -> None:
    """A probe that is under way is not sent again; it only has less time."""
    world, _ = rooms_world()
    world.draw = 0.0
    async with world.client() as client:
        await connected(world, client)
        world.last.frozen = True
        await world.advance(25.5, 0.5)
        assert world.transports[0].kinds().count("heartbeat") == 1
        world.clock.set_wall(world.clock.time() + 3600)
        await world.advance(3.25, 0.25)
        assert world.transports[0].kinds().count("heartbeat") == 1
        assert len(world.transports) == 2


@pytest.mark.parametrize("sleep", [2.0, 20.0])
async def test_short_sleeps_disturb_nothing(sleep: float) -> None:
    """A connection that was heard of within 25 s of wall time is not probed."""
    world, _ = rooms_world()
    async with world.client() as client:
        await connected(world, client)
        world.clock.set_wall(world.clock.time() + sleep)
        await world.advance(3.0)
        assert "heartbeat" not in world.last.kinds()


async def test_waking_up_while_waiting_tries_at_once() -> None:
    """A wait of the client's own ends when the machine wakes up."""
    world, _ = rooms_world()
    world.draw = 1.0
    async with world.client() as client:
        world.troubles = [ConnectFailed("refused") for _ in range(7)]
        connecting = asyncio.create_task(client.rooms.connect())
        await world.advance(33, 0.5)
        tries = len(world.dialled)
        world.clock.set_wall(world.clock.time() + 600)
        await world.advance(1.25, 0.25)
        assert len(world.dialled) == tries + 1
        await world.advance(60, 0.5)
        await connecting


async def test_waking_up_before_a_named_time() -> None:
    """A time that the gateway named is waited for by the wall clock, also over a sleep."""
    world, _ = rooms_world()
    async with world.client() as client:
        await connected(world, client)
        world.last.say("shutdown", {"retryMs": 60_000})
        world.last.end(3001, "shutdown")
        await settle()
        world.clock.set_wall(world.clock.time() + 20)
        await world.advance(2.0)
        assert len(world.dialled) == 1
        world.clock.set_wall(world.clock.time() + 60)
        await world.advance(1.5)
        assert len(world.dialled) == 2


async def test_nothing_remains_after_close() -> None:
    """After `close` there is no task, no timer, and no open transport."""
    world, _ = rooms_world()
    before = asyncio.all_tasks()
    async with world.client() as client:
        room = client.room("lobby")
        joining = asyncio.create_task(room.join())
        await settle()
        await joining
        waiting = asyncio.create_task(client.rooms.ask("presence", {"roomId": "lobby"}))
        await settle()
    await settle()
    with pytest.raises(ClientError):
        await waiting
    assert asyncio.all_tasks() == before
    assert [each for _, _, each in world.clock._timers if each.callback is not None] == []
    assert world.last.closed_with == 1000
    with pytest.raises(ClosedError):
        client.room("lobby")
    with pytest.raises(ClosedError):
        await room.join()


@pytest.mark.parametrize("state", ["idle", "connecting", "waiting", "stopped"])
async def test_closing_in_every_state(state: str) -> None:
    """Whatever the client is doing, closing it leaves nothing."""
    world, _ = rooms_world()
    before = asyncio.all_tasks()
    async with world.client() as client:
        rooms = client.rooms
        if state != "idle":
            world.troubles = [ConnectFailed("x") if state == "waiting" else HandshakeRefused(404)]
            if state == "connecting":
                world.troubles, world.answers["auth"] = [], lambda _: []
            connecting = asyncio.create_task(rooms.connect())
            await settle()
        assert rooms.state == state
    await settle()
    if state != "idle":
        with pytest.raises(ClientError):
            await connecting
    assert asyncio.all_tasks() == before
    assert [each for _, _, each in world.clock._timers if each.callback is not None] == []


async def test_a_message_that_cannot_be_read() -> None:
    """What is not of the endpoint ends the connection, for good: the address must be wrong."""
    world, _ = rooms_world()
    async with world.client() as client:
        await connected(world, client)
        world.last.say_raw("220 mail.example.org")
        await settle()
        assert client.rooms.state == "stopped"
        assert "not of this endpoint" in str(client.rooms.error)


@pytest.mark.parametrize("payload", ["[]", '"x"', "{}", '{"type":1,"data":{}}', b"\x00"])
async def test_messages_of_another_form(payload: str | bytes) -> None:
    """Other JSON, and binary messages, end the connection alike."""
    world, _ = rooms_world()
    async with world.client() as client:
        await connected(world, client)
        world.last.say_raw(payload)
        await settle()
        assert client.rooms.state == "stopped"


async def test_a_request_waits_for_a_connection_only_so_long() -> None:
    """Without a connection in time a request fails, as something that may succeed later."""
    world, _ = rooms_world()
    world.troubles = [ConnectFailed("refused") for _ in range(100)]
    async with world.client() as client:
        asking = asyncio.create_task(client.room("lobby").history())
        await world.advance(11, 0.5)
        with pytest.raises(ConnectionLost, match="not connected"):
            await asking


async def test_a_fault_of_the_client_itself_is_told() -> None:
    """An error that is not foreseen stops the client with an error, instead of leaving it silent."""
    world, _ = rooms_world()
    world.troubles = [RuntimeError("token-secret")]  # type: ignore[list-item]
    async with world.client() as client:
        with pytest.raises(ClientError, match="RuntimeError") as failed:
            await asyncio.wait_for(client.rooms.connect(), 5)
        assert "token-secret" not in str(failed.value)
        assert client.rooms.state == "stopped"
