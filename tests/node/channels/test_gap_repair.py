"""What the bus lost, doubled or mixed up is mended, or said; never passed over."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st

from portward.model.commands import Subscribe
from portward.model.limits import RECOVERY_LIMIT
from portward.model.position import Position
from portward.model.publication import Draft, HistoryQuery
from portward.model.replies import Delivery
from portward.node.channels.gap_repair import HELD, RETRY, ROUNDS
from portward.node.cluster.position_check import GRACE
from portward.security import policy
from portward.telemetry.events import Event
from portward.testing import MemoryClient, connect
from tests.examples import examples
from tests.node.simulated_cluster import (
    NodeEngine,
    SimulatedCluster,
    open_settings,
    simulated_cluster,
)
from tests.running_gateway import (
    LOBBY,
    RunningGateway,
    ask,
    contents,
    forget,
    offsets,
    session_of,
    settle,
)

ROOM = "rooms:lobby"
COMPARED = 27.5 + GRACE + 1.0
"""Seconds within which a node has compared its positions, when time leaps by the second."""


@pytest.fixture
async def net() -> AsyncIterator[SimulatedCluster]:
    """One node whose bus is not to be trusted."""
    async with simulated_cluster() as net:
        yield net


async def say(net: SimulatedCluster, *words: object, **more: Any) -> None:
    """Publish each word."""
    for word in words:
        await net.gateways[0].gateway.publish(ROOM, word, **more)
    await settle()


async def lose(net: SimulatedCluster, *words: object) -> None:
    """Publish what the first node never hears of."""
    engine = net.engines[0]
    engine.losing = True
    await say(net, *words)
    engine.losing = False


def gaps(running: RunningGateway, result: str) -> int:
    """How many gaps ended so."""
    return int(running.count("gaps_total", namespace="rooms", result=result))


def removals(client: MemoryClient) -> list[str]:
    """The reasons for which a client lost its room."""
    return [each["data"]["reason"] for each in client.all("room_left")]


# -- what can be mended


async def test_next_publication_uncovers_a_gap(net: SimulatedCluster) -> None:
    """What was lost before a publication is told before it, to everyone, once."""
    running = net.gateways[0]
    clients = [await running.client(name, "lobby") for name in ("ann", "bob")]
    await say(net, "a")
    await lose(net, "b", "c")
    await say(net, "d", "e")
    assert [contents(each) for each in clients] == [["a", "b", "c", "d", "e"]] * 2
    assert (gaps(running, "repaired"), gaps(running, "lost")) == (1, 0)
    assert running.events(Event.ENGINE_GAP) == 1
    assert "lobby" not in "".join(
        x for x in running.log.getvalue().splitlines() if "engine.gap" in x
    )


async def test_comparing_finds_what_nothing_followed(net: SimulatedCluster) -> None:
    """The last publication is told within the interval, its jitter and the grace, though none follows."""
    client = await net.gateways[0].client("ann", "lobby")
    await lose(net, "a")
    await net.advance(COMPARED)
    assert contents(client) == ["a"]
    await say(net, "b")
    assert contents(client) == ["a", "b"]


async def test_interruption_is_looked_into_at_once(net: SimulatedCluster) -> None:
    """After an interruption nobody waits for the next interval."""
    client = await net.gateways[0].client("ann", "lobby")
    await lose(net, "a")
    sink = net.engines[0].sink
    assert sink is not None
    sink.on_interrupted()
    await net.advance(1.0 + GRACE)
    assert contents(client) == ["a"]


async def test_other_node_is_repaired() -> None:
    """A node mends what was published on another and lost on the way to it."""
    async with simulated_cluster(2) as net:
        client = await net.gateways[1].client("ann", "lobby")
        net.engines[1].losing = True
        await say(net, "a", "b")
        net.engines[1].losing = False
        await say(net, "c")
        assert contents(client) == ["a", "b", "c"]
        assert gaps(net.gateways[1], "repaired") == 1


async def test_repeats_are_dropped(net: SimulatedCluster) -> None:
    """What the bus brings twice is told once, and counted."""
    running = net.gateways[0]
    client = await running.client("ann", "lobby")
    net.engines[0].doubling = True
    await say(net, "a", "b")
    assert contents(client) == ["a", "b"]
    assert running.count("repeats_total", namespace="rooms") == 2


async def test_order_is_restored(net: SimulatedCluster) -> None:
    """What the bus mixes up is told in order, and late comers are repeats."""
    client = await net.gateways[0].client("ann", "lobby")
    engine = net.engines[0]
    engine.keeping = True
    await say(net, "a", "b", "c", "d")
    engine.bring(2, 0, 3, 1)
    await settle()
    assert contents(client) == ["a", "b", "c", "d"]


async def test_what_comes_during_a_repair_waits(net: SimulatedCluster) -> None:
    """While the missing is read nothing is told; then all goes out in order."""
    client = await net.gateways[0].client("ann", "lobby")
    engine = net.engines[0]
    await say(net, "a")
    await lose(net, "b")
    engine.gate = asyncio.Event()
    await say(net, "c")
    await say(net, "d", "e")
    assert contents(client) == ["a"]
    engine.gate.set()
    await settle()
    assert contents(client) == ["a", "b", "c", "d", "e"]


async def test_second_gap_during_a_repair(net: SimulatedCluster) -> None:
    """A gap among what is held is read as well."""
    client = await net.gateways[0].client("ann", "lobby")
    engine = net.engines[0]
    await lose(net, "a")
    engine.gate = asyncio.Event()
    await say(net, "b")
    await lose(net, "c")
    await say(net, "d")
    engine.gate.set()
    await settle()
    assert contents(client) == ["a", "b", "c", "d"]


async def test_what_is_held_is_bounded(net: SimulatedCluster) -> None:
    """More than the bound is not kept in memory; what goes beyond is not passed over either."""
    running = net.gateways[0]
    client = await running.client("ann", "lobby")
    engine = net.engines[0]
    await lose(net, "a")
    engine.gate = asyncio.Event()
    await say(net, *range(HELD + 5))
    held = running.gateway.node.hub.paused(LOBBY)
    assert held is not None
    assert len(held) == HELD
    engine.gate.set()
    await settle()
    assert offsets(client) == list(range(1, HELD + 7))


async def test_excluded_stays_excluded(net: SimulatedCluster) -> None:
    """A publication that only came late is still not told to the one it was not for."""
    running = net.gateways[0]
    ann, bob = [await running.client(name, "lobby") for name in ("ann", "bob")]
    engine = net.engines[0]
    engine.keeping = True
    own = running.gateway.connections("ann")[0].id
    await say(net, "a")
    await say(net, "not for ann", exclude=own)
    engine.bring(1, 0)
    await say(net, "b")
    assert (contents(ann), contents(bob)) == (["a", "b"], ["a", "not for ann", "b"])


async def test_store_away_during_a_repair(net: SimulatedCluster) -> None:
    """While the engine gives no answer what comes waits; it is asked again until it does."""
    client = await net.gateways[0].client("ann", "lobby")
    engine = net.engines[0]
    engine.keeping = True
    await say(net, "a", "b")
    engine.away = True
    engine.bring(1)
    await net.advance(3 * RETRY)
    assert contents(client) == []
    engine.away = False
    await net.advance(RETRY)
    assert contents(client) == ["a", "b"]


async def test_engine_out_of_order_during_a_repair(net: SimulatedCluster) -> None:
    """An error nobody expected is recorded, and leaves no channel silent for ever."""
    running, engine = net.gateways[0], net.engines[0]
    client = await running.client("ann", "lobby")
    await lose(net, "a")
    engine.error = ValueError("odd")
    running.gateway.node.gap_repair.suspect_gap(LOBBY)
    engine.error = None
    assert running.events(Event.INTERNAL_ERROR) == 1
    await net.advance(RETRY)
    assert contents(client) == ["a"]


async def test_everybody_leaves_during_a_repair(net: SimulatedCluster) -> None:
    """A repair nobody waits for any more ends, whether the engine answers or not."""
    running, engine = net.gateways[0], net.engines[0]
    for away in (False, True):
        client = await running.client("ann", "lobby")
        await lose(net, "a")
        engine.gate, engine.away = None if away else asyncio.Event(), away
        running.gateway.node.gap_repair.suspect_gap(LOBBY)
        running.gateway.node.gap_repair.suspect_gap(LOBBY)
        await ask(client, "leave", roomId="lobby")
        if engine.gate is not None:
            engine.gate.set()
        await settle()
        engine.gate, engine.away = None, False
        await net.advance(RETRY)
        assert running.gateway.node.hub.paused(LOBBY) is None
        assert len(running.gateway.node.hub) == 0
    running.gateway.node.gap_repair.suspect_gap(LOBBY)
    assert gaps(running, "repaired") == 0


# -- coming while it is mended


async def test_joining_during_a_repair(net: SimulatedCluster) -> None:
    """Who comes while a gap is read is told nothing twice and misses nothing."""
    running, engine = net.gateways[0], net.engines[0]
    ann = await running.client("ann", "lobby")
    await say(net, "a")
    await lose(net, "b")
    engine.gate = gate = asyncio.Event()
    await say(net, "c")
    engine.gate = None
    bob = await running.client("bob", "lobby")
    assert bob.last("room_joined")["position"]["offset"] == 3
    await say(net, "d")
    gate.set()
    await settle()
    await say(net, "e")
    assert contents(ann) == ["a", "b", "c", "d", "e"]
    assert contents(bob) == ["d", "e"]


async def test_joining_before_the_push_arrives(net: SimulatedCluster) -> None:
    """Who was answered further than the bus had come is not told the same again, but all else is."""
    running, engine = net.gateways[0], net.engines[0]
    ann = await running.client("ann", "lobby")
    await say(net, "a")
    engine.keeping = True
    await say(net, "b", "c")
    bob = await running.client("bob", "lobby")
    assert bob.last("room_joined")["position"]["offset"] == 3
    engine.bring()
    await say(net, "d", "e")
    assert (contents(ann), contents(bob)) == (["a", "b", "c", "d", "e"], ["d", "e"])


async def test_gap_between_reading_and_hearing(net: SimulatedCluster) -> None:
    """When what is heard does not go on where the answer ends, the newcomer comes in once more."""
    running, engine = net.gateways[0], net.engines[0]
    bob = await running.client("bob")
    engine.gate = gate = asyncio.Event()
    bob.send({"type": "join", "data": {"roomId": "lobby"}})
    await settle()
    await lose(net, "a")
    await say(net, "b")
    gate.set()
    await settle()
    assert bob.last("room_joined")["position"]["offset"] == 0
    assert (contents(bob), removals(bob)) == ([], ["insufficient_state"])
    engine.gate = None
    since = bob.last("room_joined")["position"]
    await ask(bob, "join", roomId="lobby", since=since)
    assert bob.last("room_joined")["recovered"] is True
    assert [each["content"] for each in bob.last("room_joined")["messages"]] == ["a", "b"]
    await say(net, "c")
    assert contents(bob) == ["c"]


async def test_newcomer_brings_news_of_another_epoch(net: SimulatedCluster) -> None:
    """When a join shows that the stream is another one, everyone is told and may come back."""
    running = net.gateways[0]
    ann, bob = await running.client("ann", "lobby"), await running.client("bob")
    await say(net, "a")
    await net.store.streams.remove(LOBBY)
    await ask(bob, "join", roomId="lobby")
    assert (removals(ann), removals(bob)) == (["insufficient_state"], ["insufficient_state"])
    for client in (ann, bob):
        await ask(client, "join", roomId="lobby")
    await say(net, "b")
    assert (contents(ann), contents(bob)) == (["a", "b"], ["b"])


# -- what cannot be mended


async def test_trimmed() -> None:
    """When the engine has forgotten what is missing, everyone is told to come back."""
    async with simulated_cluster(1, open_settings(history_size=2)) as net:
        running = net.gateways[0]
        clients = [await running.client(name, "lobby") for name in ("ann", "bob")]
        await say(net, "a")
        await lose(net, *"bcde")
        await say(net, "f")
        assert [contents(each) for each in clients] == [["a"]] * 2
        assert [removals(each) for each in clients] == [["insufficient_state"]] * 2
        assert (gaps(running, "repaired"), gaps(running, "lost")) == (0, 1)
        position = clients[0].last("room_joined")["position"]
        since = {"offset": 1, "epoch": position["epoch"]}
        await ask(clients[0], "join", roomId="lobby", since=since)
        joined = clients[0].last("room_joined")
        assert (joined["recovered"], joined["position"]["offset"]) == (False, 6)
        await say(net, "g")
        assert contents(clients[0]) == ["a", "g"]


async def test_too_many(net: SimulatedCluster) -> None:
    """More than the limit of a recovery are not told one by one."""
    client = await net.gateways[0].client("ann", "lobby")
    await lose(net, *range(RECOVERY_LIMIT + 1))
    await net.advance(COMPARED)
    assert (contents(client), removals(client)) == ([], ["insufficient_state"])


async def test_as_many_as_the_limit(net: SimulatedCluster) -> None:
    """As many as the limit of a recovery are."""
    client = await net.gateways[0].client("ann", "lobby")
    await lose(net, *range(RECOVERY_LIMIT))
    await net.advance(COMPARED)
    assert contents(client) == list(range(RECOVERY_LIMIT))


@pytest.mark.parametrize("followed", [True, False])
async def test_another_epoch(net: SimulatedCluster, followed: bool) -> None:
    """When the store has lost the stream, everyone is told, by the next publication or by comparing."""
    client = await net.gateways[0].client("ann", "lobby")
    await say(net, "a")
    await net.store.streams.remove(LOBBY)
    if followed:
        await say(net, "b")
    else:
        await net.advance(COMPARED)
    assert (contents(client), removals(client)) == (["a"], ["insufficient_state"])


async def test_epoch_changes_during_a_repair(net: SimulatedCluster) -> None:
    """A publication of a newer epoch than what was read is not taken for an old one."""
    client = await net.gateways[0].client("ann", "lobby")
    engine = net.engines[0]
    await say(net, "a")
    await lose(net, "b")
    engine.gate = asyncio.Event()
    await say(net, "c")
    await net.store.streams.remove(LOBBY)
    await say(net, "new")
    engine.gate.set()
    await net.advance(2 * RETRY)
    assert (contents(client), removals(client)) == (["a", "b", "c"], ["insufficient_state"])


async def test_late_word_of_an_older_epoch(net: SimulatedCluster) -> None:
    """What comes from a stream that is no more is dropped, and costs nobody the subscription."""
    running, engine = net.gateways[0], net.engines[0]
    stale = await running.client("ann", "lobby")
    engine.keeping = True
    await say(net, "old")
    await net.store.streams.remove(LOBBY)
    await ask(stale, "leave", roomId="lobby")
    client = await running.client("bob", "lobby")
    engine.bring()
    await say(net, "new")
    assert (contents(client), removals(client)) == (["new"], [])


async def test_who_is_ahead_stays() -> None:
    """Who was answered up to where the stream goes on has lost nothing."""
    async with simulated_cluster(1, open_settings(history_size=2)) as net:
        running = net.gateways[0]
        ann = await running.client("ann", "lobby")
        await lose(net, *"abcd")
        bob = await running.client("bob", "lobby")
        await net.advance(COMPARED)
        await say(net, "e")
        assert (contents(ann), removals(ann)) == ([], ["insufficient_state"])
        assert (contents(bob), removals(bob)) == (["e"], [])


async def test_all_leave_before_they_are_told(net: SimulatedCluster) -> None:
    """A channel that was left in the same turn as it was lost needs nothing."""
    running = net.gateways[0]
    client = await running.client("ann", "lobby")
    await net.store.streams.remove(LOBBY)
    running.gateway.node.gap_repair.suspect_gap(LOBBY)
    await ask(client, "leave", roomId="lobby")
    assert (len(running.gateway.node.hub), gaps(running, "lost")) == (0, 0)


async def test_held_goes_on_after_a_loss() -> None:
    """What came after the place from where the channel goes on is told to those who stayed."""
    async with simulated_cluster(1, open_settings(history_size=2)) as net:
        running, engine = net.gateways[0], net.engines[0]
        await running.client("ann", "lobby")
        await lose(net, *"abcd")
        bob = await running.client("bob", "lobby")
        engine.gate = asyncio.Event()
        running.gateway.node.gap_repair.suspect_gap(LOBBY)
        await say(net, "e")
        await lose(net, "f")
        await say(net, "g")
        engine.gate.set()
        await settle()
        assert contents(bob) == ["e", "f", "g"]


async def test_announced_but_not_to_be_read(net: SimulatedCluster) -> None:
    """When the engine never shows what it announced, that is a loss after a few answers."""
    running = net.gateways[0]
    client = await running.client("ann", "lobby")
    sink = net.engines[0].sink
    assert sink is not None
    await say(net, "a")
    page = await running.gateway.history(ROOM)
    draft = Draft(id="x", time=0, data="from nowhere")
    odd = page.publications[0].at(9, draft)
    sink.on_publication(LOBBY, odd, page.position.epoch, None)
    await net.advance((ROUNDS + 1) * RETRY)
    assert (contents(client), removals(client)) == (["a"], ["insufficient_state"])


async def test_without_history_what_comes_is_told() -> None:
    """Where nothing is kept a gap is counted, and the listener told what came."""
    async with simulated_cluster(1, open_settings(history_size=0)) as net:
        running = net.gateways[0]
        client = await running.client("ann", "lobby")
        await lose(net, "a")
        await say(net, "b")
        assert (contents(client), removals(client)) == (["b"], [])
        await lose(net, "c")
        await net.advance(COMPARED)
        await net.store.streams.remove(LOBBY)
        await say(net, "d")
        assert (contents(client), removals(client)) == (["b", "d"], [])
        await net.store.streams.remove(LOBBY)
        other = await running.client("bob", "lobby")
        await say(net, "e")
        assert (contents(client), contents(other)) == (["b", "d", "e"], ["e"])
        assert gaps(running, "lost") == 4


async def test_what_the_application_chose_stays(net: SimulatedCluster) -> None:
    """A client that did not ask for a channel could not ask for it again: it goes on after the loss."""
    running, engine = net.gateways[0], net.engines[0]
    ann, bob = await running.client("ann"), await running.client("bob")
    grant = policy.trusted(Subscribe(channel=LOBBY))
    subscriptions = running.gateway.node.subscriptions
    await subscriptions.subscribe(session_of(ann), grant, trusted=True)
    engine.gate = gate = asyncio.Event()
    entering = asyncio.ensure_future(subscriptions.subscribe(session_of(bob), grant, trusted=True))
    await settle()
    engine.gate = None
    await say(net, "a")
    await net.store.streams.remove(LOBBY)
    await say(net, "b")
    gate.set()
    later = [each.publication.data for each in (await entering).later if isinstance(each, Delivery)]
    await say(net, "c")
    assert (contents(ann), contents(bob)) == (["a", "b", "c"], ["c"])
    assert later == ["a", "b"]
    assert removals(ann) + removals(bob) == []
    assert gaps(running, "lost") == 1


# -- anything at all


class Reader:
    """A client that checks every word it is told against the last, and comes back when it must."""

    def __init__(self, running: RunningGateway, name: str) -> None:
        self.running = running
        self.name = name
        self.client: MemoryClient | None = None
        self.inside = self.asking = False
        self.place: tuple[int, str] | None = None
        self.wanted: tuple[int, str] | None = None

    async def connect(self) -> None:
        """Begin a handshake."""
        self.client = await connect(self.running.gateway)
        await self.running.authenticate(self.client, self.name)
        forget(self.client)

    async def join(self) -> None:
        """Come in, or come back to where it was."""
        more: dict[str, Any] = {}
        self.wanted, self.asking = self.place, True
        if self.place is not None:
            more["since"] = {"offset": self.place[0], "epoch": self.place[1]}
        assert self.client is not None
        await ask(self.client, "join", roomId="lobby", **more)
        self.look()

    async def leave(self) -> None:
        """Go out, and remember where it was."""
        if self.client is not None and self.inside:
            await ask(self.client, "leave", roomId="lobby")
            self.look()
            self.inside = False

    def look(self) -> None:
        """Read what came: no number may be missing, and none may come twice."""
        assert self.client is not None
        for message in self.client.received:
            data = message["data"]
            if message["type"] == "room_joined":
                self.joined(data)
            elif message["type"] == "message":
                assert self.place is not None
                assert self.inside
                assert data["offset"] == self.place[0] + 1
                assert data["content"] == f"{self.place[1]} {data['offset']}"
                self.place = (data["offset"], self.place[1])
            elif message["type"] == "room_left":
                self.inside = False
            elif message["type"] == "error":
                assert data["code"] == "unavailable"
                self.asking = False
        forget(self.client)

    def joined(self, data: dict[str, Any]) -> None:
        """Take an answer."""
        position = (data["position"]["offset"], data["position"]["epoch"])
        if data.get("recovered"):
            assert self.wanted is not None
            assert self.wanted[1] == position[1]
            told = [each["offset"] for each in data["messages"]]
            assert told == list(range(self.wanted[0] + 1, position[0] + 1))
        self.place, self.inside, self.asking = position, True, False


ACTIONS = (
    *("publish",) * 12, *("lose",) * 4, "keep", "bring", "double", "single", "interrupt", "remove",
    *("join",) * 4, *("leave",) * 2, *("second",) * 3, "compare", "gate", *("open",) * 2, "away",
    *("back",) * 2,
)  # fmt: skip


class Storm:
    """Does anything to a node, and to its readers."""

    def __init__(self, net: SimulatedCluster, seed: int) -> None:
        self.net = net
        self.random = Random(seed)
        self.engine: NodeEngine = net.engines[0]
        self.namespace = net.gateways[0].gateway.settings.namespaces["rooms"]
        self.readers = [Reader(net.gateways[0], f"user{number}") for number in range(3)]

    async def publish(self, *, lost: bool) -> None:
        """Say the epoch and the number a publication will have."""
        position = await self.position()
        words = f"{position.epoch} {position.offset + 1}"
        self.engine.losing = lost
        draft = Draft(id=words, time=0, data=words)
        await self.net.store.streams.publish(LOBBY, draft, self.namespace, None)
        self.engine.losing = False

    async def position(self) -> Position:
        """Where the store is."""
        page = await self.net.store.streams.history(LOBBY, HistoryQuery(limit=0), self.namespace)
        return page.position

    async def act(self, action: str) -> None:
        """Do one thing."""
        reader = self.random.choice(self.readers)
        if action == "join" and not reader.inside and not reader.asking:
            await reader.join()
        elif action == "leave":
            await reader.leave()
        elif action in {"publish", "lose"}:
            await self.publish(lost=action == "lose")
        elif action == "remove":
            await self.net.store.streams.remove(LOBBY)
        elif action in {"second", "compare"}:
            await self.net.advance(1.0 if action == "second" else 10.0)
        else:
            self.switch(action)
        await settle()
        for each in self.readers:
            each.look()

    def switch(self, action: str) -> None:
        """Turn something on or off."""
        engine = self.engine
        if action == "gate" and engine.gate is None:
            engine.gate = asyncio.Event()
        elif action == "open" and engine.gate is not None:
            engine.gate.set()
            engine.gate = None
        elif action in {"away", "back"}:
            engine.away = action == "away"
        elif action in {"double", "single"}:
            engine.doubling = action == "double"
        elif action == "keep":
            engine.keeping = True
        elif action == "bring":
            order = list(range(len(engine.kept)))
            if self.random.random() < 0.5:
                self.random.shuffle(order)
            engine.bring(*order)
        elif action == "interrupt" and engine.sink is not None:
            engine.sink.on_interrupted()

    async def calm(self) -> None:
        """Everything works again: in time everyone who is inside is where the store is."""
        for action in ("open", "back", "bring", "single"):
            await self.act(action)
        await self.net.advance(2 * COMPARED)
        position = await self.position()
        for reader in self.readers:
            reader.look()
            assert not reader.asking
            if reader.inside:
                assert reader.place == (position.offset, position.epoch)


@pytest.mark.parametrize("size", [1000, 4])
@trials(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32),
    actions=st.lists(st.sampled_from(ACTIONS), min_size=20, max_size=120),
)
async def test_no_silent_gap_and_no_repeat(size: int, seed: int, actions: list[str]) -> None:
    """Whatever the bus and the store do, each listener is told every number once, or that it was not."""
    async with simulated_cluster(1, open_settings(history_size=size)) as net:
        storm = Storm(net, seed)
        for reader in storm.readers:
            await reader.connect()
        await storm.readers[0].join()
        for action in actions:
            await storm.act(action)
        await storm.calm()
