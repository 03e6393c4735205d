"""Workspaces over a store that takes its time: whoever goes, or loses a right, is gone at every moment."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest

from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.events import RightsChanged
from portward.model.publication import Draft
from portward.protocols.workspaces import payloads
from portward.settings.endpoint import Refuse
from portward.telemetry.events import Event
from tests.running_gateway import RunningGateway, session_of, settle
from tests.slow_engine import SlowEngine, slow_gateway
from tests.socketio_peer import SocketPeer, reach, rooms_of, workspaces_settings
from tests.stores import stores

pytestmark = pytest.mark.p1

Slow = tuple[RunningGateway, SlowEngine]
CHANNEL = Channel.parse("workspaces:w1:approvals")
ROOM = "workspace:w1:approvals"
STEPS = 60
"""More than everything below takes."""


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """A gateway over a slow store, with a namespace `/x` and a request that waits."""
    async with slow_gateway(workspaces_settings()) as pair:
        running, engine = pair
        running.gateway.workspaces.namespace("/x")
        await stores(engine.inner).approvals.add(request(running, "r"))
        yield pair


def request(running: RunningGateway, name: str) -> Approval:
    """A request for approval."""
    now = running.clock.time()
    return Approval(
        id=name, channel=CHANNEL, title=name, data=None, created_at=now, expires_at=now + 3600
    )


async def hasty(running: RunningGateway, roles: tuple[str, ...] = ("agent",)) -> SocketPeer:
    """A client that says everything at once."""
    ann = await reach(running.gateway)
    token = running.token("ann", roles=roles, workspaceId="w1")
    ann.put("0" + json.dumps({"token": token}))
    ann.put("0/x,")
    ann.put(f'20["join_room",{{"room":"{ROOM}"}}]')
    ann.put('21["dashboard_action",{"action":"a"}]')
    ann.put('22["approval_response",{"requestId":"r","decision":"approve"}]')
    ann.put('23["state_sync",{"key":"k","value":1}]')
    return ann


async def says(engine: SlowEngine, kind: str, data: object) -> None:
    """Publish as another node would."""
    draft = Draft(id="0" * 32, time=0, data=data, type=kind)
    house_namespace = workspaces_settings().namespaces["workspaces"]
    await engine.inner.streams.publish(CHANNEL, draft, house_namespace, None)
    await settle()


async def nothing_left(running: RunningGateway, engine: SlowEngine) -> None:
    """Nobody is anywhere, and nothing went wrong."""
    await engine.run()
    assert running.gateway.channels() == {}
    for name in (CHANNEL, Channel.parse("workspaces:/x")):
        assert await engine.inner.presence.members(name) == ()
    assert running.inside() == (0, 0, 0)
    assert running.gateway.workspaces.sockets("/x") == running.gateway.workspaces.sockets() == []
    assert running.events(Event.INTERNAL_ERROR) == 0


def asked(engine: SlowEngine, name: str) -> int:
    """How often something was asked of the store so far."""
    return [*engine.seen, *(call.name for call in engine.waiting)].count(name)


def changes(engine: SlowEngine) -> tuple[int, int, int]:
    """Verdicts, values and publications that the store was asked to keep."""
    verdicts = asked(engine, "kv.update approvals")
    return verdicts, asked(engine, "kv.update shared"), asked(engine, "streams.publish")


def end(ann: SocketPeer, way: str) -> None:
    """Have a client go."""
    session = session_of(ann)
    match way:
        case "vanishes":
            ann.leave(None)
        case "stopped":
            if isinstance(session.task, asyncio.Task):
                session.task.cancel()
            session.end(Disconnect.SHUTDOWN, "test")
        case _:
            session.end(Disconnect.REVOKED, "test")


async def test_everything_is_done(slow: Slow) -> None:
    """Undisturbed, all of it is done in order, within the steps that are looked at below."""
    running, engine = slow
    ann = await hasty(running)
    assert await engine.run(STEPS) < STEPS
    answers = [packet[:2] for packet in ann.packets if packet[0] == "3"]
    assert answers == ["30", "31", "32", "33"]
    assert '32[{"ok":true}]' in ann.packets
    assert rooms_of(ann) == ["workspaces:/x", CHANNEL]
    ann.leave(None)
    await nothing_left(running, engine)


@pytest.mark.parametrize("moment", range(STEPS))
@pytest.mark.parametrize("way", ["vanishes", "stopped", "revoked"])
async def test_the_end_at_every_moment(slow: Slow, way: str, moment: int) -> None:
    """Whoever has ended is in no room, has no presence, and does nothing more.

    What somebody said before it vanished is done all the same.
    """
    running, engine = slow
    ann = await hasty(running)
    await engine.run(moment)
    end(ann, way)
    verdicts, values, said = changes(engine)
    ann.forget()
    await nothing_left(running, engine)
    assert ann.packets == []
    if way == "vanishes":
        assert changes(engine)[:2] == (1, 1)
        return
    assert changes(engine)[:2] == (verdicts, values)
    assert changes(engine)[2] - said <= verdicts  # a verdict that was given is announced


@pytest.mark.parametrize("moment", range(STEPS))
async def test_the_membership_withdrawn_at_every_moment(slow: Slow, moment: int) -> None:
    """Who loses its membership is out of the room, hears nothing of it, and does nothing there."""
    running, engine = slow
    ann = await hasty(running)
    await engine.run(moment)
    await stores(engine.inner).directory.set_workspaces("ann", frozenset())
    await engine.inner.streams.publish_control(RightsChanged(user="ann"))
    await engine.run()
    assert rooms_of(ann) == ["workspaces:/x"]
    joined = f'30[{{"joined":"{ROOM}"}}]' in ann.packets
    assert joined <= len(ann.events("room_left")) <= 1
    assert len([packet for packet in ann.packets if packet.startswith("30")]) == 1
    ann.forget()
    await says(engine, "secret", 1)
    ann.put('27["dashboard_action",{"action":"a"}]')
    ann.put('28["approval_response",{"requestId":"r","decision":"approve"}]')
    await engine.run()
    assert ann.packets == [f'{each}[{{"error":"PERMISSION_DENIED"}}]' for each in ("37", "38")]
    assert running.events(Event.INTERNAL_ERROR) == 0


@pytest.mark.parametrize("moment", range(0, STEPS, 2))
async def test_the_role_withdrawn_at_every_moment(slow: Slow, moment: int) -> None:
    """From the moment a role is known to be lost nothing is done that it alone allowed."""
    running, engine = slow
    await stores(engine.inner).directory.set_roles("ann", frozenset({"agent"}))
    ann = await hasty(running, roles=())
    await engine.run(moment)
    await stores(engine.inner).directory.set_roles("ann", frozenset())
    await engine.inner.streams.publish_control(RightsChanged(user="ann"))
    verdicts = -1
    while True:
        who = session_of(ann).identity
        if verdicts < 0 and who is not None and not who.permissions:
            verdicts = asked(engine, "kv.update approvals")
        if not await engine.run(1):
            break
    assert asked(engine, "kv.update approvals") == verdicts
    assert ('32[{"ok":true}]' in ann.packets) == verdicts
    ann.put('27["dashboard_action",{"action":"a"}]')
    await engine.run()
    assert ann.packets[-1] == '37[{"error":"PERMISSION_DENIED"}]'


@pytest.mark.parametrize("moment", range(STEPS))
async def test_a_request_made_at_every_moment(slow: Slow, moment: int) -> None:
    """A request made while somebody joins is told, before the verdict on it, or not at all."""
    running, engine = slow
    ann = await hasty(running)
    await engine.run(moment)
    new = request(running, "new")
    await stores(engine.inner).approvals.add(new)
    await engine.run(3)
    await says(engine, payloads.REQUESTED, payloads.requested(new))
    await engine.run()
    told = [each["requestId"] for each in ann.events("approval_requested")]
    assert told.count("new") in {1, 2}
    assert told.count("r") <= 1


@pytest.mark.parametrize("moment", range(STEPS))
@pytest.mark.parametrize("pause", [0, 2, 5])
async def test_a_verdict_given_at_every_moment(slow: Slow, moment: int, pause: int) -> None:
    """Nobody is asked for a decision after having been told of the verdict."""
    running, engine = slow
    ann = await reach(running.gateway)
    token = running.token("ann", roles=("agent",), workspaceId="w1")
    ann.put("0" + json.dumps({"token": token}))
    ann.put(f'20["join_room",{{"room":"{ROOM}"}}]')
    await engine.run(moment)
    verdict = Verdict(decision=Decision.REJECT, user="bob", at=running.clock.time())
    approvals = stores(engine.inner).approvals
    asked_for = await approvals.get("r")
    assert asked_for is not None
    decided, won = await approvals.decide(asked_for, verdict)
    assert won
    assert decided is not None
    await engine.run(pause)
    await says(engine, payloads.RESOLVED, payloads.resolved(decided))
    await engine.run()
    names = [json.loads(packet[1:])[0] for packet in ann.packets if packet.startswith("2[")]
    assert names in (
        [],
        ["approval_resolved"],
        ["approval_requested", "approval_resolved"],
    )
    if moment == STEPS - 1:
        assert names == ["approval_requested", "approval_resolved"]


@pytest.mark.parametrize("call", ["presence.enter", "streams.history", "kv.indexed approvals"])
async def test_a_room_that_cannot_be_read(slow: Slow, call: str) -> None:
    """One that is told that it could not join is not in the room, and may try again."""
    running, engine = slow
    engine.fails.add(call)
    ann = await hasty(running)
    await engine.run()
    assert '30[{"error":"UNAVAILABLE"}]' in ann.packets
    assert CHANNEL not in session_of(ann).subscriptions
    assert await engine.inner.presence.members(CHANNEL) == ()
    engine.fails.clear()
    ann.forget()
    ann.put(f'24["join_room",{{"room":"{ROOM}"}}]')
    await engine.run()
    assert f'34[{{"joined":"{ROOM}"}}]' in ann.packets


@pytest.mark.parametrize("call", ["presence.enter", "streams.history"])
async def test_a_namespace_that_cannot_be_heard(slow: Slow, call: str) -> None:
    """One that is told that it is not let in is not in the namespace, and may try again."""
    running, engine = slow
    engine.fails.add(call)
    ann = await hasty(running)
    await engine.run()
    told = '4/x,{"message":"Temporarily unavailable","data":{"code":"UNAVAILABLE"}}'
    assert told in ann.packets
    assert running.gateway.workspaces.sockets("/x") == []
    engine.fails.clear()
    await ann.say("0/x,")
    await engine.run()
    assert ann.packets[-1].startswith('0/x,{"sid":')
    assert ann.alive


@pytest.mark.parametrize("call", ["kv.records revoked", "kv.names user_roles"])
async def test_a_store_that_is_away_at_the_door(slow: Slow, call: str) -> None:
    """Who cannot be judged is told that it is for now, and may come back."""
    running, engine = slow
    engine.fails.add(call)
    ann = await hasty(running)
    await engine.run()
    (said,) = ann.packets[1:]
    assert re.fullmatch(r'2\["error",{"code":"UNAVAILABLE","retryMs":\d+}\]', said)
    assert ann.closed == (1011, "")
    await nothing_left(running, engine)


@pytest.mark.parametrize("refuse", [Refuse.EVENT, Refuse.CONNECT_ERROR])
@pytest.mark.parametrize("moment", range(1, 8))
async def test_revoked_at_the_door(refuse: Refuse, moment: int) -> None:
    """Who is revoked while it is let in hears the code that a revoked token has."""
    async with slow_gateway(workspaces_settings(endpoint={"refuse": refuse})) as (running, engine):
        ann = await reach(running.gateway)
        ann.put("0" + json.dumps({"token": running.token("ann")}))
        await engine.run(moment)
        if ann.packets:
            return
        session_of(ann).end(Disconnect.REVOKED, "test")
        if refuse is Refuse.EVENT:
            assert ann.packets[1:] == ['2["error",{"code":"INVALID_TOKEN"}]', "1"]
        else:
            (told,) = ann.packets
            assert json.loads(told[1:])["data"] == {"code": "INVALID_TOKEN"}
        await engine.run()
        assert running.inside() == (0, 0, 0)


@pytest.mark.parametrize("moment", range(20))
async def test_sent_out_while_coming_in(slow: Slow, moment: int) -> None:
    """A client sent out of a namespace it is just entering is out, at whatever moment."""
    running, engine = slow
    ann = await hasty(running)
    while not running.gateway.workspaces.sockets("/x"):
        await engine.run(1)
    await engine.run(moment)
    for socket in running.gateway.workspaces.sockets("/x"):
        socket.disconnect()
    await engine.run()
    assert "1/x," in ann.packets
    assert not any(
        packet.startswith(("4/x", "0/x")) for packet in ann.packets[ann.packets.index("1/x,") :]
    )
    assert rooms_of(ann) == [CHANNEL]
    assert ann.alive
