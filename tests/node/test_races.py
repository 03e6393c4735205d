"""Whatever order things happen in: who is here is who is connected, and nobody misses anything."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from portward.model.channel import Channel
from portward.model.events import Expelled
from portward.model.limits import Rate
from portward.model.publication import Draft
from portward.model.room import Room, RoomOrigin
from portward.settings.limits import Limits, RateLimit
from portward.testing import MemoryClient
from tests.examples import examples
from tests.running_gateway import RunningGateway, kinds, session_of, settings
from tests.slow_engine import SlowEngine, arrive, slow_gateway

pytestmark = [pytest.mark.p1, pytest.mark.timeout(180)]

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, frames=UNLIMITED)
ROOMS = ("a", "b")
USERS = ("ann", "bob", "cat")


def channel(room: str) -> Channel:
    """The channel of a room."""
    return Channel.parse(f"rooms:{room}")


class Heard:
    """What one client was told of one room, checked as it is read: no gap and no repeat."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.since: dict[str, int] = {}
        """From where each join that was sent wants to go on: more may be heard before its answer."""
        self.count = 0

    def read(self, client: MemoryClient) -> None:
        """Check everything that has come, and forget it."""
        for message in client.received:
            getattr(self, message["type"], self.ignore)(message["data"], message.get("id"))
        client.received.clear()

    def ignore(self, _: dict[str, Any], __: str | None) -> None:
        """Not about publications."""

    def room_joined(self, data: dict[str, Any], id: str | None) -> None:  # noqa: A002 - the word on the wire
        """From here on every offset is to come."""
        room, position = data["roomId"], data["position"]["offset"]
        if data.get("recovered"):
            told = [each["offset"] for each in data["messages"]]
            assert told == list(range(self.since[id or ""] + 1, position + 1))
            self.count += len(told)
        self.at[room] = position

    def room_left(self, data: dict[str, Any], _: str | None) -> None:
        """Nothing is to come."""
        self.at.pop(data["roomId"], None)

    def message(self, data: dict[str, Any], _: str | None) -> None:
        """The next one."""
        assert data["offset"] == self.at[data["roomId"]] + 1
        self.at[data["roomId"]] += 1
        self.count += 1


class Comings(RuleBasedStateMachine):
    """Clients come, join, leave, break, are kicked and cut off, over a store that takes its time."""

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.heard: dict[MemoryClient, Heard] = {}
        self.said = dict.fromkeys(ROOMS, 0)

    def do(self, work: Awaitable[Any]) -> Any:
        """Let the loop run until `work` is done."""

        async def wait() -> Any:
            return await work

        return self.runner.run(wait())

    @initialize()
    def begin(self) -> None:
        """A gateway, two rooms, and one who is in both of them all the time."""
        self.do(self._begin())

    async def _begin(self) -> None:
        self.context = slow_gateway(settings(rooms={"limits": FREE}))
        self.running: RunningGateway
        self.engine: SlowEngine
        self.running, self.engine = await self.context.__aenter__()
        for room in ROOMS:
            record = Room(id=room)
            await self.engine.inner.rooms.save(channel(room), record, RoomOrigin.BACKEND)
        self.permanent = await arrive(self.running, self.engine, "zoe", *ROOMS)
        self.heard[self.permanent] = Heard()
        self.heard[self.permanent].at = dict.fromkeys(ROOMS, 0)

    @rule(target=clients, user=st.sampled_from(USERS))
    def come(self, user: str) -> Any:
        """Somebody connects and is authenticated."""
        if len(self.heard) > 8:
            return multiple()
        client = self.do(arrive(self.running, self.engine, user))
        self.heard[client] = Heard()
        return client

    @rule(client=clients, room=st.sampled_from(ROOMS), again=st.booleans())
    def join(self, client: MemoryClient, room: str, again: bool) -> None:
        """A client joins, perhaps from where it stands."""
        self.read()
        data: dict[str, Any] = {"roomId": room}
        heard = self.heard[client]
        at, number = heard.at.get(room), str(len(heard.since))
        heard.since[number] = at or 0
        stream = self.engine.inner.streams._streams.get(channel(room))
        if again and at is not None and stream is not None:  # an empty channel has no stream
            data["since"] = {"offset": at, "epoch": stream.epoch}
        self.send(client, "join", data, number)

    @rule(client=clients, room=st.sampled_from(ROOMS))
    def leave(self, client: MemoryClient, room: str) -> None:
        """A client leaves a room, whether it is in it or not."""
        self.send(client, "leave", {"roomId": room})

    @rule(client=clients, room=st.sampled_from(ROOMS))
    def write(self, client: MemoryClient, room: str) -> None:
        """A client says something."""
        self.send(client, "message", {"roomId": room, "content": "x"})

    def send(
        self, client: MemoryClient, kind: str, data: dict[str, Any], number: str = "x"
    ) -> None:
        """Send without waiting for anything."""

        async def send() -> None:
            if client.open:
                client.send({"type": kind, "data": data, "id": number})

        self.do(send())

    @rule(room=st.sampled_from(ROOMS))
    def publish(self, room: str) -> None:
        """Another node publishes."""
        namespace = self.running.gateway.node.namespaces["rooms"]
        draft = Draft(id="x", time=0, data="y")
        self.do(self.engine.inner.streams.publish(channel(room), draft, namespace, None))

    @rule(client=consumes(clients), code=st.sampled_from([None, 1000]))
    def go(self, client: MemoryClient, code: int | None) -> None:
        """A connection breaks or closes."""
        self.read()

        async def go() -> None:
            client.leave(code)

        self.do(go())

    @rule(user=st.sampled_from(USERS), room=st.sampled_from(ROOMS))
    def kick(self, user: str, room: str) -> None:
        """A user is put out of a room."""
        expelled = Expelled(user=user, channel=channel(room), reason="kicked")
        self.do(self.engine.inner.streams.publish_control(expelled))

    @rule(client=clients)
    def cut_off(self, client: MemoryClient) -> None:
        """A handler is cancelled wherever it waits; its connection ends, as when the node stops."""

        async def cancel() -> None:
            session = session_of(client)
            if isinstance(session.task, asyncio.Task) and client.open:
                session.task.cancel()
                client.leave(None)

        self.do(cancel())

    @rule(steps=st.integers(1, 6))
    def pass_time(self, steps: int) -> None:
        """The store does some of what it was asked."""
        self.do(self.engine.run(steps))

    @rule()
    def settle(self) -> None:
        """The store does everything; now every book says the same."""
        self.do(self._settle())

    async def _settle(self) -> None:
        await self.engine.run()
        self.read()
        sessions = list(self.running.gateway.node.registry)
        for room in ROOMS:
            members = await self.engine.inner.presence.members(channel(room))
            inside = [each.id for each in sessions if channel(room) in each.subscriptions]
            assert sorted(member.client for member in members) == sorted(inside)
            assert self.running.gateway.channels().get(channel(room), 0) == len(inside)
            assert self.heard[self.permanent].at[room] == self._offset(room)
        heard = {channel(room) for room in ROOMS} & self.engine.inner.streams._subscribed
        assert heard == set(self.running.gateway.channels())

    def _offset(self, room: str) -> int:
        stream = self.engine.inner.streams._streams.get(channel(room))
        return stream.offset if stream is not None else 0

    def read(self) -> None:
        """Check what everyone was told."""
        for client, heard in self.heard.items():
            if client.open:
                heard.read(client)

    @invariant()
    def counters_hold(self) -> None:
        """The doorman counts who is connected, and the hub counts nobody twice or less than none."""
        leaving = [each for each in self.running.gateway.node.registry if each.closing is not None]
        open_now = sum(client.open for client in self.heard) + len(leaving)
        assert self.running.inside() == (open_now, 0, open_now)
        channels = self.running.gateway.node.hub
        for room in ROOMS:
            listeners = channels.listeners(channel(room))
            assert channels.size(channel(room)) == len(listeners) == len(set(listeners))
            links = [each.transport for each in leaving]
            assert all(client.open or client in links for client in listeners)
        assert "error" not in kinds(self.permanent)

    def teardown(self) -> None:
        """At the very end nothing is left of anybody."""
        try:
            self.do(self._end())
        finally:
            self.do(self.context.__aexit__(None, None, None))
            self.runner.close()

    async def _end(self) -> None:
        await self._settle()
        for client in self.heard:
            if client.open:
                client.leave()
        await self.engine.run()
        assert self.engine.inner.presence._rooms == {}
        assert self.engine.inner.streams._subscribed == set()
        assert self.running.gateway.channels() == {}
        assert self.running.inside() == (0, 0, 0)


Comings.TestCase.settings = effort(
    max_examples=examples(20),
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestComings(Comings.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    """Runs the machine."""
