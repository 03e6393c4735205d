"""What users do in workspaces, row by row: rooms, actions, verdicts, shared state, tokens, limits."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.engines.port import EngineUnavailable
from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.protocols.socketio.server import EventError
from portward.protocols.workspaces.commands import ActionInfo
from portward.protocols.workspaces.handlers import DECIDED
from portward.protocols.workspaces.service import WorkspacesService
from portward.settings.limits import Limits
from portward.telemetry.events import Event
from tests.running_gateway import RunningGateway, run_gateway, session_of, settle
from tests.socketio_peer import (
    ENDLESS,
    SocketPeer,
    member,
    reach,
    rooms_of,
    workspaces_settings,
)

DASHBOARD = "workspace:w1:dashboard"
APPROVALS = "workspace:w1:approvals"


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway whose agents may do everything, and whose readers may read."""
    async with run_gateway(workspaces_settings()) as running:
        yield running


async def asked(running: RunningGateway, title: str = "T", **more: Any) -> Approval:
    """A request for approval in w1."""
    approval = await running.gateway.workspaces.request_approval("w1", title, **more)
    await settle()
    return approval


async def decide(client: SocketPeer, request: str, decision: str = "approve", **more: Any) -> Any:
    """Give a verdict."""
    return await client.call(
        "approval_response", {"requestId": request, "decision": decision, **more}
    )


# -- rooms


async def test_join_and_leave(running: RunningGateway) -> None:
    """A member joins and leaves its workspace's rooms, and both may be repeated."""
    ann = await member(running, "ann")
    for room in (DASHBOARD, APPROVALS, DASHBOARD):
        assert await ann.call("join_room", {"room": room}) == {"joined": room}
    assert rooms_of(ann) == ["workspaces:w1:dashboard", "workspaces:w1:approvals"]
    for _ in range(2):
        assert await ann.call("leave_room", {"room": DASHBOARD}) == {"left": DASHBOARD}
    assert rooms_of(ann) == ["workspaces:w1:approvals"]
    ann.forget()
    await ann.emit("join_room", {"room": DASHBOARD})
    await ann.emit("leave_room", {"room": DASHBOARD})
    await ann.emit("leave_room", {"room": DASHBOARD})
    assert ann.packets == []


@pytest.mark.p0
async def test_foreign_rooms(running: RunningGateway) -> None:
    """Rooms of other workspaces, and of none, are refused in the same words, and recorded."""
    ann = await member(running, "ann")
    for room in ("workspace:w2:dashboard", "workspace:nowhere:approvals"):
        assert await ann.call("join_room", {"room": room}) == {"error": "ACCESS_DENIED"}
    assert rooms_of(ann) == []
    entries = running.audited(Event.UNAUTHORIZED_ROOM_ACCESS)
    assert [entry.fields["room"] for entry in entries] == [
        "workspace:w2:dashboard", "workspace:nowhere:approvals",
    ]  # fmt: skip
    assert {entry.fields["userId"] for entry in entries} == {"ann"}
    await ann.emit("join_room", {"room": "workspace:w2:dashboard"})
    assert ann.events("error") == [{"code": "ACCESS_DENIED"}]


async def test_memberships_of_the_directory(running: RunningGateway) -> None:
    """What the directory says of memberships counts, and not the token."""
    await running.gateway.operations.set_workspaces("ann", ["w2", "w3"])
    ann = await member(running, "ann")
    assert await ann.call("join_room", {"room": DASHBOARD}) == {"error": "ACCESS_DENIED"}
    for workspace in ("w2", "w3"):
        room = f"workspace:{workspace}:dashboard"
        assert await ann.call("join_room", {"room": room}) == {"joined": room}


@pytest.mark.p0
async def test_membership_withdrawn(running: RunningGateway) -> None:
    """A membership taken away ends the rooms in the same turn; nothing of them is heard after."""
    ann = await member(running, "ann", DASHBOARD, APPROVALS)
    bob = await member(running, "bob", DASHBOARD)
    ann.forget()
    for number in range(100):
        await running.gateway.workspaces.emit(DASHBOARD, "tick", number)
        if number == 50:
            await running.gateway.operations.set_workspaces("ann", [])
            assert ann.packets[-2:] == [
                f'2["room_left",{{"room":"{room}","reason":"permission_denied"}}]'
                for room in (DASHBOARD, APPROVALS)
            ]
            before = list(ann.packets)
    await settle()
    assert ann.packets == before
    assert bob.events("tick") == list(range(100))
    assert ann.alive
    assert await ann.call("join_room", {"room": DASHBOARD}) == {"error": "ACCESS_DENIED"}


async def test_membership_moved(running: RunningGateway) -> None:
    """Rooms of a workspace one stays in are kept."""
    await running.gateway.operations.set_workspaces("ann", ["w1", "w2"])
    ann = await member(running, "ann", DASHBOARD, "workspace:w2:dashboard")
    await running.gateway.operations.set_workspaces("ann", ["w2"])
    await settle()
    assert ann.events("room_left") == [{"room": DASHBOARD, "reason": "permission_denied"}]
    assert rooms_of(ann) == ["workspaces:w2:dashboard"]


async def test_namespaces_are_the_applications(running: RunningGateway) -> None:
    """What the application put a client in it keeps, whatever its memberships."""
    space = running.gateway.workspaces.namespace("/x")
    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    await running.gateway.operations.set_workspaces("ann", [])
    await settle()
    await space.emit("e", 1)
    await settle()
    assert ann.packets[-1] == '2/x,["e",1]'


# -- actions


async def test_actions(running: RunningGateway) -> None:
    """An action is acknowledged, and announced to the dashboard of the workspace."""
    ann = await member(running, "ann", DASHBOARD)
    bob = await member(running, "bob", DASHBOARD)
    eve = await member(running, "eve", "workspace:w2:dashboard", workspace="w2")
    assert await ann.call("dashboard_action", {"action": "refresh", "payload": {"a": [1]}}) == {
        "ok": True
    }
    told = {"action": "refresh", "payload": {"a": [1]}, "userId": "ann"}
    assert ann.events("dashboard_update") == bob.events("dashboard_update") == [told]
    assert eve.events("dashboard_update") == []


async def test_actions_handed_over(running: RunningGateway) -> None:
    """The application does what is to be done, and what it returns is the result."""
    seen: list[ActionInfo] = []

    @running.gateway.workspaces.on_action
    async def act(action: ActionInfo) -> Any:
        seen.append(action)
        match action.action:
            case "refuse":
                raise EventError("CLOSED", "on sundays")
            case "fail":
                raise RuntimeError("canary")
        return {"done": 1}

    ann = await member(running, "ann", DASHBOARD)
    answer = await ann.call("dashboard_action", {"action": "a", "payload": 7})
    assert answer == {"ok": True, "result": {"done": 1}}
    assert seen == [
        ActionInfo(workspace="w1", user="ann", action="a", payload=7, connection=session_of(ann).id)
    ]
    assert await ann.call("dashboard_action", {"action": "refuse"}) == {
        "error": "CLOSED", "details": "on sundays",
    }  # fmt: skip
    assert await ann.call("dashboard_action", {"action": "fail"}) == {"error": "INTERNAL_ERROR"}
    assert len(ann.events("dashboard_update")) == 1
    assert running.events(Event.INTERNAL_ERROR) == 1
    assert "canary" not in running.log.getvalue()


MATRIX = [
    # role, action, allowed
    ("agent", "refresh", True),
    ("agent", "widgets.move", True),
    ("agent", "*", True),
    ("reader", "read", True),
    ("reader", "write", False),
    ("reader", "read.more", False),
    ("reader", "*", False),
    ("none", "read", False),
    ("", "read", False),
]


@pytest.mark.p0
@pytest.mark.parametrize(("role", "action", "allowed"), MATRIX)
@pytest.mark.parametrize("workspace", ["w1", "w2"])
async def test_roles(
    running: RunningGateway, role: str, action: str, allowed: bool, workspace: str
) -> None:
    """A role allows what settings say, in one's own workspace and no other."""
    roles = (role,) if role else ()
    ann = await member(running, "ann", workspace=workspace, roles=roles)
    watchers = {
        each: await member(running, f"of {each}", f"workspace:{each}:dashboard", workspace=each)
        for each in ("w1", "w2")
    }
    denied = running.events(Event.AUTHZ_DENY)
    answer = await ann.call("dashboard_action", {"action": action})
    assert answer == ({"ok": True} if allowed else {"error": "PERMISSION_DENIED"})
    assert running.events(Event.AUTHZ_DENY) - denied == (not allowed)
    for each, watcher in watchers.items():
        heard = len(watcher.events("dashboard_update"))
        assert heard == (allowed and each == workspace)


@pytest.mark.p0
@pytest.mark.parametrize(
    ("token", "directory", "acts"),
    [
        ("w1", None, "w1"),
        ("w1", ["w1", "w2"], "w1"),
        ("w1", ["w2"], None),
        ("w1", [], None),
        (None, None, None),
        (None, [], None),
        (None, ["w2"], "w2"),
        (None, ["w1", "w2"], None),
        ("/x", None, None),
        ("w 1", None, None),
    ],
)
async def test_where_one_acts(
    running: RunningGateway, token: str | None, directory: list[str] | None, acts: str | None
) -> None:
    """In the token's workspace, if one belongs to it; without one in the only one there is."""
    seen: list[str] = []

    @running.gateway.workspaces.on_action
    def act(action: ActionInfo) -> None:
        seen.append(action.workspace)

    await running.gateway.operations.set_workspaces("ann", directory)
    ann = await reach(running.gateway)
    claims: dict[str, Any] = {} if token is None else {"workspaceId": token}
    await ann.enter({"token": running.token("ann", roles=("agent",), **claims)})
    answer = await ann.call("dashboard_action", {"action": "a"})
    assert answer == ({"ok": True} if acts else {"error": "PERMISSION_DENIED"})
    assert seen == ([acts] if acts else [])


async def test_roles_of_the_directory(running: RunningGateway) -> None:
    """A role given or taken in the directory counts at once."""
    ann = await member(running, "ann", roles=())
    action = {"action": "a"}
    assert await ann.call("dashboard_action", action) == {"error": "PERMISSION_DENIED"}
    await running.gateway.set_roles("ann", ["agent"])
    assert await ann.call("dashboard_action", action) == {"ok": True}
    await running.gateway.set_roles("ann", [])
    assert await ann.call("dashboard_action", action) == {"error": "PERMISSION_DENIED"}


# -- approvals


async def test_requests_are_told(running: RunningGateway) -> None:
    """Who is in the approvals room hears of a request at once, who comes later when joining."""
    ann = await member(running, "ann", APPROVALS)
    bob = await member(running, "bob", DASHBOARD)
    approval = await asked(running, data={"sum": 3}, expires_in=60)
    told = {
        "requestId": approval.id, "title": "T", "data": {"sum": 3},
        "expiresAt": int((running.clock.time() + 60) * 1000),
    }  # fmt: skip
    assert ann.events("approval_requested") == [told]
    assert bob.events("approval_requested") == []
    carl = await member(running, "carl", APPROVALS)
    assert carl.events("approval_requested") == [told]
    foreign = await member(running, "eve", "workspace:w2:approvals", workspace="w2")
    assert foreign.events("approval_requested") == []


async def test_requests_wait_for_somebody(running: RunningGateway) -> None:
    """Requests made while nobody is connected are told to who comes, the oldest first."""
    made = []
    for number in range(3):
        made.append(await asked(running, f"T{number}"))
        running.clock.advance(1)
    ann = await member(running, "ann", APPROVALS)
    assert [each["title"] for each in ann.events("approval_requested")] == ["T0", "T1", "T2"]
    assert await decide(ann, made[1].id) == {"ok": True}
    await ann.call("leave_room", {"room": APPROVALS})
    ann.forget()
    await ann.call("join_room", {"room": APPROVALS})
    assert [each["title"] for each in ann.events("approval_requested")] == ["T0", "T2"]


async def test_the_first_decision_wins(running: RunningGateway) -> None:
    """The first verdict is kept and announced, whoever gives another."""
    approval = await asked(running)
    ann, bob = await member(running, "ann", APPROVALS), await member(running, "bob", APPROVALS)
    assert await decide(ann, approval.id, "reject", comment="no") == {"ok": True}
    for client in (ann, bob):
        for decision in ("approve", "reject"):
            assert await decide(client, approval.id, decision) == {"error": "ALREADY_DECIDED"}
    told = {"requestId": approval.id, "decision": "reject", "userId": "ann", "comment": "no"}
    assert ann.events("approval_resolved") == bob.events("approval_resolved") == [told]
    kept = await running.gateway.workspaces.approval(approval.id)
    assert kept is not None
    assert kept.verdict is not None
    assert (kept.verdict.user, kept.verdict.at) == ("ann", running.clock.time())
    (entry,) = running.audited(Event.APPROVAL_DECIDED)
    assert entry.fields["reason"] == "reject"


async def test_two_at_once(running: RunningGateway) -> None:
    """Of verdicts in the same turn one wins."""
    approval = await asked(running)
    people = [await member(running, name) for name in ("ann", "bob", "carl")]
    for client in people:
        client.put(f'20["approval_response",{{"requestId":"{approval.id}","decision":"approve"}}]')
    await settle()
    answers = [client.packets[-1] for client in people]
    assert sorted(answers) == ['30[{"error":"ALREADY_DECIDED"}]'] * 2 + ['30[{"ok":true}]']


async def test_verdicts_need_no_room(running: RunningGateway) -> None:
    """Who may decide need not be in the room; one without a comment says none."""
    approval = await asked(running)
    ann = await member(running, "ann")
    assert await decide(ann, approval.id) == {"ok": True}
    assert ann.events("approval_resolved") == []


@pytest.mark.p0
async def test_who_may_not_decide(running: RunningGateway) -> None:
    """Without the right, from another workspace, or of a request there is not: the same answer."""
    approval = await asked(running)
    denied = {"error": "PERMISSION_DENIED"}
    agent = await member(running, "ann")
    reader = await member(running, "bob", roles=("reader",))
    foreign = await member(running, "eve", workspace="w2")
    assert await decide(agent, "unknown") == denied
    assert await decide(reader, approval.id) == denied
    assert await decide(foreign, approval.id) == denied
    assert await decide(foreign, "unknown") == denied
    await running.gateway.operations.set_workspaces("ann", [])
    assert await decide(agent, approval.id) == denied
    kept = await running.gateway.workspaces.approval(approval.id)
    assert kept is not None
    assert kept.verdict is None
    assert running.events(Event.AUTHZ_DENY) == 5


async def test_requests_of_other_families(running: RunningGateway) -> None:
    """A request in a channel of another namespace is not for the people of this one."""
    channel = Channel.parse("rooms:w1:approvals")
    approval = await running.gateway.node.protocols.of(WorkspacesService).approvals.ask(
        channel, "T"
    )
    ann = await member(running, "ann")
    assert await decide(ann, approval.id) == {"error": "PERMISSION_DENIED"}


async def test_expiry(running: RunningGateway) -> None:
    """A request that has expired is decided by nobody, and told to nobody."""
    approval = await asked(running, expires_in=60)
    ann = await member(running, "ann")
    running.clock.advance(60)
    assert await decide(ann, approval.id) == {"error": "ALREADY_DECIDED"}
    await ann.call("join_room", {"room": APPROVALS})
    assert ann.events("approval_requested") == []
    kept = await running.gateway.workspaces.approval(approval.id)
    assert kept is not None
    assert kept.verdict is None


async def test_verdicts_are_told_to_the_application(running: RunningGateway) -> None:
    """Whoever is told of verdicts is told once of each."""
    told: list[Approval] = []
    running.gateway._hooks.listeners[DECIDED] = [told.append]
    approval = await asked(running)
    ann = await member(running, "ann")
    await decide(ann, approval.id)
    await decide(ann, approval.id)
    assert [each.id for each in told] == [approval.id]


# -- shared state


async def test_shared_state(running: RunningGateway) -> None:
    """A value reaches the user's other connections in the workspace, and nobody else's."""
    one, two = await member(running, "ann"), await member(running, "ann")
    others = [
        await member(running, "bob"),
        await member(running, "ann", workspace="w2"),
        await reach(running.gateway),
    ]
    assert await one.call("state_sync", {"key": "k", "value": {"a": [1]}}) == {
        "ok": True, "version": 1,
    }  # fmt: skip
    assert two.events("state_changed") == [{"key": "k", "value": {"a": [1]}, "version": 1}]
    assert one.events("state_changed") == []
    for client in others:
        assert client.events("state_changed") == []
    assert (await others[1].call("state_sync", {"key": "k", "value": 0}))["version"] == 1


async def test_versions(running: RunningGateway) -> None:
    """A version that is not the current one sets nothing, and the current value comes back."""
    ann, tab = await member(running, "ann"), await member(running, "ann")
    for version, value in enumerate(["a", None, 0]):
        answer = await ann.call("state_sync", {"key": "k", "value": value, "version": version})
        assert answer == {"ok": True, "version": version + 1}
    conflict = {"error": "CONFLICT", "version": 3, "value": 0}
    for version in (0, 2, 4):
        said = {"key": "k", "value": "b", "version": version}
        assert await tab.call("state_sync", said) == conflict
    assert await tab.call("state_sync", {"key": "k", "value": "c"}) == {"ok": True, "version": 4}
    assert await tab.call("state_sync", {"key": "other", "value": 1, "version": 1}) == {
        "error": "CONFLICT", "version": 0, "value": None,
    }  # fmt: skip
    assert [each["version"] for each in tab.events("state_changed")] == [1, 2, 3]
    assert ann.events("state_changed") == [{"key": "k", "value": "c", "version": 4}]


async def test_state_outlives_its_tabs(running: RunningGateway) -> None:
    """What a user shared is there for the next tab, for a day."""
    ann = await member(running, "ann")
    await ann.call("state_sync", {"key": "k", "value": 1})
    ann.leave()
    tab = await member(running, "ann")
    assert (await tab.call("state_sync", {"key": "k", "value": 2}))["version"] == 2


async def test_only_in_the_root(running: RunningGateway) -> None:
    """A connection that is in another namespace alone is not told of shared state."""
    running.gateway.workspaces.namespace("/x")
    ann = await member(running, "ann")
    tab = await reach(running.gateway)
    await tab.enter({"token": running.token("ann", workspaceId="w1")}, "/x")
    tab.forget()
    await ann.call("state_sync", {"key": "k", "value": 1})
    assert tab.packets == []


# -- tokens


async def test_a_token_runs_out(running: RunningGateway) -> None:
    """A minute before the end one is told when it is; then the connection ends, to come back."""
    ann = await member(running, "ann", DASHBOARD, ttl=100)
    expires = running.clock.time() + 100
    await running.advance(39)
    assert ann.events("token_expiring") == []
    await running.advance(2)
    assert ann.events("token_expiring") == [{"expiresAt": int(expires * 1000)}]
    await running.advance(150)
    assert ann.closed == (3005, "expired")
    assert re.fullmatch(r'2\["error",{"code":"EXPIRED","retryMs":\d+}\]', ann.packets[-1])
    assert running.gateway.channels() == {}


async def test_a_token_is_refreshed(running: RunningGateway) -> None:
    """A newer token of the same user keeps the connection, its rooms, and moves its end."""
    ann = await member(running, "ann", DASHBOARD, ttl=100)
    running.clock.advance(30)
    token = running.token("ann", ttl=500, roles=("reader",), workspaceId="w1")
    expires = int((running.clock.time() + 500) * 1000)
    assert await ann.call("token_refresh", {"token": token}) == {"ok": True, "expiresAt": expires}
    assert rooms_of(ann) == ["workspaces:w1:dashboard"]
    assert await ann.call("dashboard_action", {"action": "write"}) == {"error": "PERMISSION_DENIED"}
    await running.advance(200)
    assert ann.events("token_expiring") == []
    await running.advance(250)
    assert ann.events("token_expiring") == [{"expiresAt": expires}]


@pytest.mark.p0
@pytest.mark.parametrize("kind", ["invalid", "user", "workspace", "expired", "older", "revoked"])
async def test_a_token_that_is_not_taken(running: RunningGateway, kind: str) -> None:
    """A token that is bad, old, somebody else's or of another workspace ends the connection."""
    stale = running.token("ann", ttl=10, workspaceId="w1")
    older = running.token("ann", workspaceId="w1")
    running.clock.advance(100)
    ann = await member(running, "ann", DASHBOARD)
    await running.gateway.revoke(jti="j1")
    token = {
        "invalid": "x.y.z",
        "user": running.token("bob", workspaceId="w1"),
        "workspace": running.token("ann", workspaceId="w2"),
        "expired": stale,
        "older": older,
        "revoked": running.token("ann", workspaceId="w1", jti="j1"),
    }[kind]
    ann.forget()
    assert await ann.call("token_refresh", {"token": token}) is None
    assert ann.packets == ['2["error",{"code":"INVALID_TOKEN"}]', "1"]
    assert ann.closed == (3500, "invalid token")
    assert running.gateway.channels() == {}


@pytest.mark.p0
async def test_revoked(running: RunningGateway) -> None:
    """A token that is taken back ends its connections, and what is queued is not sent."""
    ann = await member(running, "ann", DASHBOARD)
    ann.reading = False
    await running.gateway.workspaces.emit(DASHBOARD, "secret", 1)
    await settle()
    await running.gateway.revoke(user="ann")
    await settle()
    ann.read()
    assert ann.closed == (3503, "force disconnect")
    assert ann.events("secret") == []
    assert ann.packets[-2:] == ['2["error",{"code":"REVOKED"}]', "1"]


# -- limits


async def test_too_many_messages(running: RunningGateway) -> None:
    """The sixty-first message of a minute is refused, and all that follow at once; the connection stays."""
    ann = await member(running, "ann", DASHBOARD)
    for number in range(60 - 1):
        assert (await ann.call("state_sync", {"key": "k", "value": number}))["ok"], number
    assert ann.events("error") == []
    answer = await ann.call("join_room", {"room": APPROVALS})
    assert answer["error"] == "RATE_LIMITED"
    assert 0 < answer["retryMs"] <= 1001
    assert ann.events("error") == [{"code": "RATE_LIMITED"}]
    await ann.emit("join_room", {"room": APPROVALS})
    assert len(ann.events("error")) == 2
    (first, *_) = running.audited(Event.RATE_LIMIT_EXCEEDED)
    assert first.fields["clientId"] == session_of(ann).id
    assert first.fields["ip"] == "127.0.0.xxx"
    await running.advance(answer["retryMs"] / 1000)
    assert await ann.call("join_room", {"room": APPROVALS}) == {"joined": APPROVALS}
    await running.gateway.workspaces.emit(DASHBOARD, "tick", 1)
    await settle()
    assert ann.events("tick") == [1]
    for _ in range(100):
        await ann.emit("join_room", {"room": APPROVALS})
    assert ann.alive
    assert len(ann.events("error")) == 102


async def test_what_is_not_taken_counts(running: RunningGateway) -> None:
    """Events that are refused for their form are counted like any other."""
    ann = await member(running, "ann")
    for number in range(30):
        await ann.say('2["e",{"a":1,"a":2}]')
        assert (await ann.call("state_sync", {"key": "k", "value": number}))["ok"]
    assert ann.alive
    ann.forget()
    await ann.say('27["e",{"a":1,"a":2}]')
    assert json.loads(ann.packets[0][2:])[0]["error"] == "RATE_LIMITED"


async def test_too_many_joins() -> None:
    """Joining has a limit of its own."""
    given = workspaces_settings(endpoint={"limits": Limits(messages=ENDLESS)})
    async with run_gateway(given) as running:
        ann = await member(running, "ann")
        for _ in range(20):
            assert await ann.call("join_room", {"room": DASHBOARD}) == {"joined": DASHBOARD}
        assert (await ann.call("join_room", {"room": DASHBOARD}))["error"] == "RATE_LIMITED"
        assert rooms_of(ann) == ["workspaces:w1:dashboard"]


async def test_too_many_faults(running: RunningGateway) -> None:
    """Twenty mistakes in a row end the connection; one success in between forgives."""
    ann = await member(running, "ann")
    for _ in range(19):
        await ann.emit("nope")
    assert (await ann.call("state_sync", {"key": "k", "value": 1}))["ok"]
    for _ in range(19):
        await ann.emit("nope")
    assert ann.alive
    await ann.emit("nope")
    assert ann.closed == (3501, "bad request")


# -- while the store is away


@pytest.mark.parametrize(
    ("port", "method", "event", "argument"),
    [
        ("directory", "rights", "join_room", {"room": APPROVALS}),
        ("approvals", "pending", "join_room", {"room": APPROVALS}),
        ("directory", "rights", "dashboard_action", {"action": "a"}),
        ("streams", "publish", "dashboard_action", {"action": "a"}),
        ("approvals", "get", "approval_response", {"requestId": "r", "decision": "approve"}),
        ("user_state", "put", "state_sync", {"key": "k", "value": 1}),
    ],
)
async def test_the_store_is_away(
    running: RunningGateway,
    monkeypatch: pytest.MonkeyPatch,
    port: str,
    method: str,
    event: str,
    argument: dict[str, Any],
) -> None:
    """What cannot be done now is answered so, counts as nobody's fault, and leaves nothing behind."""

    async def away(*_: object) -> None:
        raise EngineUnavailable

    ann = await member(running, "ann")
    with monkeypatch.context() as patch:
        node = running.gateway.node
        holder = node.engine if port == "streams" else node.context.stores
        patch.setattr(getattr(holder, port), method, away)
        for _ in range(30):
            assert await ann.call(event, argument) == {"error": "UNAVAILABLE"}
            running.clock.advance(4)
    assert ann.alive
    assert rooms_of(ann) == []
    assert running.gateway.channels() == {}
    await asyncio.sleep(0)
    assert await ann.call("join_room", {"room": APPROVALS}) == {"joined": APPROVALS}
