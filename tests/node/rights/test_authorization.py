"""Rights: each rule, and what becomes of a session whose rights change."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import RightsChanged
from portward.model.identity import Identity
from portward.model.limits import Rate
from portward.model.namespace import AccessRule, PublishRight
from portward.model.room import Room, RoomOrigin, RoomPermissions
from portward.node.stores import UserRights
from portward.settings import Settings
from portward.settings.limits import Limits, RateLimit
from portward.telemetry.events import Event
from portward.testing import FakeClock, MemoryClient
from tests.running_gateway import (
    LOBBY,
    RunningGateway,
    ask,
    contents,
    errors,
    forget,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import SlowEngine, arrive, slow_gateway
from tests.stores import stores

pytestmark = pytest.mark.p0

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED)
Slow = tuple[RunningGateway, SlowEngine]


def ruled(rule: AccessRule, **options: Any) -> Settings:
    """Rooms whose rights are judged by another rule."""
    return settings(rooms={"limits": FREE}, namespace={"authorize": rule, **options})


async def may(running: RunningGateway, client: MemoryClient, room: str) -> dict[str, bool]:
    """What a client may do in a room, found out by doing it."""
    tried = {
        "history": {},
        "presence": {},
        "join": {},
        "message": {"content": "x"},
    }
    found = {}
    for kind, data in tried.items():
        forget(client)
        await ask(client, kind, id="x", roomId=room, **data)
        found[kind] = not client.all("error")
    await ask(client, "leave", roomId=room)
    return found


def can(*verbs: str) -> dict[str, bool]:
    """The verbs that are allowed, and the others that are not."""
    return {verb: verb in verbs for verb in ("history", "presence", "join", "message")}


READ = ("history", "presence", "join")


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (AccessRule.DENY, ()),
        (AccessRule.IDENTITY_PROVIDER, ()),
        (AccessRule.AUTHENTICATED, (*READ, "message")),
    ],
)
async def test_rules_without_facts(rule: AccessRule, allowed: tuple[str, ...]) -> None:
    """`deny`, and a rule nobody has written, deny everything; `authenticated` asks no more."""
    async with run_gateway(ruled(rule)) as running:
        ann = await running.client("ann")
        assert await may(running, ann, "lobby") == can(*allowed)


@pytest.mark.parametrize(
    ("channel", "allow", "allowed"),
    [
        ("rooms:lobby", ["subscribe"], ("join",)),
        ("rooms:lobby", ["subscribe", "history"], ("join", "history")),
        ("rooms:lobby", ["history"], ()),
        ("rooms:*", ["subscribe", "publish"], ("join", "message")),
        ("rooms:lob*", ["subscribe", "presence"], ("join", "presence")),
        ("*", ["subscribe", "history", "presence", "publish"], (*READ, "message")),
        ("rooms:lobby2", ["subscribe"], ()),
        ("rooms:lob", ["subscribe"], ()),
        ("other:*", ["subscribe"], ()),
    ],
)
async def test_rule_claims(channel: str, allow: list[str], allowed: tuple[str, ...]) -> None:
    """By `claims` the token's own list says what is allowed where."""
    async with run_gateway(ruled(AccessRule.CLAIMS)) as running:
        ann = await running.client("ann", channels=[{"channel": channel, "allow": allow}])
        assert await may(running, ann, "lobby") == can(*allowed)


async def test_claims_add_up() -> None:
    """Several entries for one channel add up, and a token without the claim allows nothing."""
    async with run_gateway(ruled(AccessRule.CLAIMS)) as running:
        entries = [
            {"channel": "rooms:*", "allow": ["subscribe"]},
            {"channel": "rooms:lobby", "allow": ["publish", "history"]},
        ]
        ann, bob = await running.client("ann", channels=entries), await running.client("bob")
        assert await may(running, ann, "lobby") == can("join", "message", "history")
        assert await may(running, bob, "lobby") == can()


@pytest.mark.parametrize(
    ("workspace", "member", "room", "allowed"),
    [
        ("w1", None, "w1", True),
        ("w1", None, "w1:sub:deep", True),
        ("w1", None, "w2", False),
        ("w1", None, "w11", False),
        ("w1", ("w2", "w3"), "w2:x", True),
        ("w1", ("w2", "w3"), "w1", False),
        ("w1", (), "w1", False),
        (None, None, "w1", False),
        (None, ("w1",), "w1", True),
    ],
)
async def test_rule_membership(
    workspace: str | None, member: tuple[str, ...] | None, room: str, allowed: bool
) -> None:
    """By `membership` the directory's workspaces let in; where it has none, the token's."""
    async with run_gateway(ruled(AccessRule.MEMBERSHIP)) as running:
        await running.gateway.operations.set_workspaces("ann", member)
        claims = {} if workspace is None else {"workspaceId": workspace}
        ann = await running.client("ann", **claims)
        assert await may(running, ann, room) == (can(*READ, "message") if allowed else can())


async def test_membership_taken_away() -> None:
    """Who leaves a workspace leaves its channels at once, and hears nothing more of them."""
    async with run_gateway(ruled(AccessRule.MEMBERSHIP)) as running:
        await running.gateway.operations.set_workspaces("ann", ["w1", "w2"])
        ann = await running.client("ann", "w1:a", "w1:b", "w2:a")
        await running.gateway.operations.set_workspaces("ann", ["w2"])
        left = {each["data"]["roomId"] for each in ann.all("room_left")}
        assert left == {"w1:a", "w1:b"}
        await running.gateway.publish("rooms:w1:a", "x")
        await settle()
        assert contents(ann) == []


class Application:
    """Stands for the application of rule `http`."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = set(allowed)
        self.asked: list[tuple[str, str, str]] = []

    async def ask(self, url: str, who: Identity, channel: Channel, action: str) -> bool:  # noqa: ARG002 - the port
        """Answer from the list."""
        self.asked.append((who.subject, channel, action))
        return action in self.allowed

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    ("answers", "allowed"),
    [
        ((), ()),
        (("subscribe",), READ),
        (("publish", "manage"), ()),
        (("subscribe", "publish"), (*READ, "message")),
    ],
)
async def test_rule_http(answers: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """By `http` the application's answers are the rights; without the first the rest is not asked."""
    async with run_gateway(ruled(AccessRule.HTTP, authorize_url="http://app/allow")) as running:
        application = Application(*answers)
        running.gateway.node.authorizer._question = application
        ann = await running.client("ann")
        assert await may(running, ann, "lobby") == can(*allowed)
        actions = {action for _, _, action in application.asked}
        rest = {"publish", "manage"} if "subscribe" in answers else set()
        assert actions == {"subscribe"} | rest


async def test_answers_are_kept_while_subscribed() -> None:
    """The application is asked once per channel of a session, and again when told of a change."""
    async with run_gateway(ruled(AccessRule.HTTP, authorize_url="http://app/allow")) as running:
        application = Application("subscribe", "publish", "manage")
        running.gateway.node.authorizer._question = application
        ann = await running.client("ann", "lobby")
        for _ in range(5):
            await ask(ann, "message", roomId="lobby", content="x")
        assert len(application.asked) == 3
        application.allowed.clear()
        await running.gateway.set_roles("ann", ["any"])
        assert ann.last("room_left")["reason"] == "permission_denied"


async def test_managing_what_has_no_record() -> None:
    """Who may manage a channel that has no record has no permissions to set."""
    async with run_gateway(ruled(AccessRule.HTTP, authorize_url="http://app/allow")) as running:
        running.gateway.node.authorizer._question = Application("subscribe", "manage")
        ann = await running.client("ann", "lobby")
        await ask(ann, "set_permissions", roomId="lobby", permissions={"read": ["user"]})
        assert errors(ann) == ["Insufficient permissions"]


async def test_judging_where_nobody_is(running: RunningGateway) -> None:
    """There is nothing to judge of a session that is not in the channel, or is nobody's."""
    ann = session_of(await running.client("ann"))
    await running.gateway.node.subscriptions.reauthorize(ann, LOBBY)
    assert ann.subscriptions == {}
    stranger = session_of(await running.client())
    with pytest.raises(CommandError) as caught:
        await running.gateway.node.authorizer.evaluate(stranger, LOBBY)
    assert caught.value.kind is ErrorKind.NOT_AUTHENTICATED


async def test_server_publishes_alone() -> None:
    """Where only the server publishes, no client does, whatever its role."""
    given = settings(rooms={"limits": FREE}, namespace={"publish": PublishRight.SERVER})
    async with run_gateway(given) as running:
        boss = await running.client("boss", "lobby", roles=["user", "admin"])
        await ask(boss, "message", roomId="lobby", content="x")
        await running.gateway.publish(LOBBY, "y")
        await settle()
        assert (errors(boss), contents(boss)) == (["Insufficient permissions"], ["y"])


# -- roles that change


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without limits per user, with a room for authors."""
    async with run_gateway(settings(rooms={"limits": FREE})) as running:
        await running.room(permissions={"read": ["author"], "write": ["author"], "admin": []})
        yield running


async def test_role_taken_away(running: RunningGateway) -> None:
    """Who loses a role is out of its rooms at once: told so, connected, and hearing nothing more."""
    await running.gateway.set_roles("ann", ["author"])
    ann = await running.client("ann", "lobby", "own")
    bob = await running.client("bob", "lobby", roles=["author"])
    ann.reading = False
    await ask(bob, "message", roomId="lobby", content="queued")
    await running.gateway.publish("rooms:own", "kept")
    await settle()
    await running.gateway.set_roles("ann", [])
    await running.gateway.publish(LOBBY, "after")
    await settle()
    ann.read()
    assert contents(ann) == ["kept"]
    assert ann.last("room_left") == {"roomId": "lobby", "reason": "permission_denied"}
    assert bob.last("user_left")["userId"] == "ann"
    assert ann.open
    await ask(ann, "message", roomId="lobby", content="x")
    await ask(ann, "join", roomId="lobby")
    assert errors(ann) == ["Room not found", "Insufficient permissions"]


async def test_role_given(running: RunningGateway) -> None:
    """Who is given a role may use it at once, without connecting again."""
    ann = await running.client("ann")
    await ask(ann, "join", roomId="lobby")
    await running.gateway.set_roles("ann", ["author"])
    await ask(ann, "join", roomId="lobby")
    assert (errors(ann), kinds(ann)[-1]) == (["Insufficient permissions"], "room_joined")


async def test_roles_of_others_change_nothing(running: RunningGateway) -> None:
    """A change concerns its user alone."""
    ann = await running.client("ann", "lobby", roles=["author"])
    version = session_of(ann).version
    await running.gateway.set_roles("bob", ["user"])
    assert session_of(ann).version == version


async def test_withdrawn_under_traffic(running: RunningGateway) -> None:
    """A role withdrawn in the middle of a stream: not one message after it, a thousand times."""
    ann = await running.client("ann")
    for _ in range(1000):
        await running.gateway.set_roles("ann", ["author"])
        ann.send({"type": "join", "data": {"roomId": "lobby"}})
        await running.gateway.publish(LOBBY, "before")
        await running.gateway.set_roles("ann", [])
        ann.received.clear()
        await running.gateway.publish(LOBBY, "after")
        await running.advance(0.01)
        assert contents(ann) == []
    assert ann.open


async def test_settings_that_change_rights(running: RunningGateway) -> None:
    """Permissions of roles that a reload brings are in force on open connections."""
    async with run_gateway(settings(rooms={"auto_create": False})) as strict:
        ann = await strict.client("ann", roles=["user", "host"])
        await ask(ann, "join", roomId="fresh")
        strict.gateway.reload(replace(strict.gateway.settings, roles={"host": ("room.create",)}))
        await settle()
        await ask(ann, "join", roomId="fresh")
        assert kinds(ann)[-2:] == ["error", "room_joined"]


async def test_namespace_that_is_gone(running: RunningGateway) -> None:
    """A channel whose family is no longer known is taken away from who is in it."""
    ann = await running.client("ann", "lobby", roles=["author"])
    node = running.gateway.node
    node.adopt(replace(node.settings, namespaces={}))
    await settle()
    assert ann.last("room_left")["reason"] == "permission_denied"
    await ask(ann, "join", roomId="lobby")
    assert errors(ann) == ["Insufficient permissions"]


async def test_refused_commands_are_recorded(running: RunningGateway) -> None:
    """Each command that policy refuses leaves a security event with who and where."""
    ann = await running.client("ann")
    await ask(ann, "history", roomId="lobby")
    [entry] = running.audited(Event.AUTHZ_DENY)
    assert entry.fields["command"] == "read_history"
    assert (entry.fields["user"], entry.fields["channel"]) == ("ann", "rooms:lobby")


# -- rights that change while a slow store is asked


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """A gateway over a slow engine, with a room for users."""
    async with slow_gateway(settings(rooms={"limits": FREE})) as (running, engine):
        await engine.inner.rooms.save(LOBBY, Room(id="lobby"), RoomOrigin.BACKEND)
        yield running, engine


CLOSED = Room(id="lobby", permissions=RoomPermissions(read=("staff",), write=("staff",)))


@pytest.mark.parametrize("moment", range(20))
async def test_room_closed_during_a_join(slow: Slow, moment: int) -> None:
    """Whenever the permissions of a room change during a join, nobody stays in who may not."""
    running, engine = slow
    ann = await arrive(running, engine, "ann")
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    await engine.run(moment)
    await engine.inner.rooms.save(LOBBY, CLOSED, RoomOrigin.BACKEND)
    await engine.inner.streams.publish_control(RightsChanged(channel=LOBBY))
    await engine.run()
    assert session_of(ann).subscriptions == {}
    assert errors(ann) == ["Insufficient permissions"] or ann.last("room_left")
    assert await engine.inner.presence.members(LOBBY) == ()
    assert running.gateway.channels() == {}
    await engine.inner.streams.publish_control(RightsChanged(channel=LOBBY))


@pytest.mark.parametrize("moment", range(20))
async def test_roles_taken_during_a_join(slow: Slow, moment: int) -> None:
    """Whenever a role is taken away during a join, nobody stays in who may not."""
    running, engine = slow
    await engine.inner.rooms.save(LOBBY, CLOSED, RoomOrigin.BACKEND)
    await stores(engine.inner).directory.set_roles("ann", frozenset({"staff"}))
    ann = await arrive(running, engine, "ann")
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    await engine.run(moment)
    await stores(engine.inner).directory.set_roles("ann", frozenset())
    await engine.inner.streams.publish_control(RightsChanged(user="ann"))
    await engine.run()
    assert session_of(ann).subscriptions == {}
    assert await engine.inner.presence.members(LOBBY) == ()
    assert running.gateway.channels() == {}


@pytest.mark.parametrize("moment", range(20))
async def test_membership_taken_during_a_join(moment: int) -> None:
    """Whenever a membership ends during a join, nobody stays in who is no member."""
    async with slow_gateway(ruled(AccessRule.MEMBERSHIP)) as (running, engine):
        await stores(engine.inner).directory.set_workspaces("ann", frozenset({"w1"}))
        ann = await arrive(running, engine, "ann")
        ann.send({"type": "join", "data": {"roomId": "w1:a"}})
        await engine.run(moment)
        await stores(engine.inner).directory.set_workspaces("ann", frozenset())
        await engine.inner.streams.publish_control(RightsChanged(user="ann"))
        await engine.run()
        assert session_of(ann).subscriptions == {}
        assert await engine.inner.presence.members(Channel.parse("rooms:w1:a")) == ()


async def test_later_judgement_wins(slow: Slow) -> None:
    """Of two judgements that overtake each other the one begun later holds."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    membership, session = running.gateway.node.subscriptions, session_of(ann)
    first = asyncio.ensure_future(membership.reauthorize(session, LOBBY))
    await engine.run(1)
    early = engine.answers.popleft()
    await engine.inner.rooms.save(LOBBY, CLOSED, RoomOrigin.BACKEND)
    await stores(engine.inner).directory.set_roles("ann", frozenset({"staff"}))
    second = asyncio.ensure_future(membership.reauthorize(session, LOBBY))
    await engine.run()
    early.answer()
    await asyncio.gather(first, second)
    assert session.subscriptions == {}


async def test_two_who_make_the_same_room(slow: Slow) -> None:
    """Of two who make a room at once one makes it, and both are in it."""
    running, engine = slow
    clients = [await arrive(running, engine, user) for user in ("ann", "bob")]
    for client in clients:
        client.send({"type": "join", "data": {"roomId": "fresh"}})
    await engine.run()
    assert [kinds(client)[0] for client in clients] == ["room_joined"] * 2
    assert running.events(Event.ROOM_CREATE) == 1


async def test_full_directory(running: RunningGateway) -> None:
    """When there are as many rooms as may be, joining a new name is refused like any other."""
    running.gateway.node.engine.rooms._max_rooms = 1  # type: ignore[attr-defined]  # of the memory engine
    ann = await running.client("ann", "first")
    await ask(ann, "join", roomId="fresh")
    assert errors(ann) == ["Insufficient permissions"]


async def test_facts_of_a_user() -> None:
    """The backend reads what the directory has for a user."""
    async with run_gateway(clock=FakeClock()) as running:
        operations = running.gateway.operations
        await operations.set_roles("ann", ["a"])
        await operations.set_permissions("ann", ["b"])
        await operations.set_workspaces("ann", ["c"])
        expected = UserRights(frozenset({"a"}), frozenset({"b"}), frozenset({"c"}))
        assert await operations.facts("ann") == expected


async def test_a_room_that_went_with_the_store(running: RunningGateway) -> None:
    """Who was in a room whose record is gone, though nobody removed it, is to come again."""
    ann = await running.client("ann", "lobby", roles=["author", "user"])
    node = running.gateway.node
    await node.engine.rooms.remove(LOBBY)
    for session in node.registry:
        await node.rights_events.reauthorize_user(session)
    (left,) = ann.all("room_left")
    assert left["data"] == {"roomId": "lobby", "reason": "insufficient_state"}
    await ask(ann, "join", roomId="lobby")
    assert ann.last("room_joined")["roomId"] == "lobby"


async def test_a_room_that_was_removed(running: RunningGateway) -> None:
    """Who was in a room that somebody removed is out of it."""
    ann = await running.client("ann", "lobby", roles=["author", "user"])
    await running.gateway.rooms.remove("lobby")
    await settle()
    (left,) = ann.all("room_left")
    assert left["data"]["reason"] == "permission_denied"
