"""The workspaces' own events between unmodified Socket.IO clients: rooms, actions, verdicts, shared state."""

from typing import Any

import pytest

from portward import EventError
from portward.protocols.workspaces.commands import ActionInfo
from tests.e2e.gateways import until
from tests.e2e.socketio_client import MODES, Tab, token
from tests.e2e.socketio_gateways import APPROVALS, DASHBOARD, FREE, socketio_gateway

each_mode = pytest.mark.parametrize("mode", list(MODES))
REFUND = {"amount": 12.5, "to": ["Żaneta", "😀"]}


async def settled(tab: Tab) -> None:
    """Everything that was said to a client before has come: its answers keep the order."""
    await tab.ask("leave_room", {"room": "workspace:nowhere:dashboard"})


@each_mode
async def test_rooms(mode: str) -> None:
    """A member joins the rooms of its workspace and no other's, and hears them until it leaves."""
    async with socketio_gateway() as on:
        ann = await on.tabs.member(on.url, "ann", DASHBOARD, APPROVALS, **MODES[mode])
        foreign = {"room": "workspace:w2:dashboard"}
        assert await ann.ask("join_room", foreign) == {"error": "ACCESS_DENIED"}
        for room in ("workspace:w1:kitchen", "w1", "", 7, None):
            answer = await ann.ask("join_room", {"room": room})
            assert answer["error"] == "VALIDATION_ERROR"
            assert answer["details"]
        await on.gateway.workspaces.emit(DASHBOARD, "dashboard_update", {"n": 1})
        assert await ann.heard("dashboard_update") == {"n": 1}
        await on.gateway.workspaces.emit("workspace:w2:dashboard", "dashboard_update", {"n": 2})
        assert await ann.ask("leave_room", {"room": DASHBOARD}) == {"left": DASHBOARD}
        await on.gateway.workspaces.emit(DASHBOARD, "dashboard_update", {"n": 3})
        await on.gateway.workspaces.emit(APPROVALS, "note", {"n": 4})
        assert await ann.heard("note") == {"n": 4}
        assert ann.pending("dashboard_update") == []
        assert await ann.ask("leave_room", {"room": DASHBOARD}) == {"left": DASHBOARD}


@each_mode
async def test_a_disconnect_leaves_all_rooms(mode: str) -> None:
    """Nothing is left of a client's rooms, whether it says goodbye or its network goes away."""
    async with socketio_gateway() as on:
        for farewell in ("leave", "cut"):
            options = MODES[mode] | {"reconnection": False}
            ann = await on.tabs.member(on.url, "ann", DASHBOARD, APPROVALS, **options)
            assert len(on.gateway.channels()) == 2
            if farewell == "leave":
                ann.leave()
            else:
                ann.order("cut")
            await ann.told("disconnect")
            await until(lambda: on.gateway.channels() == {})


@each_mode
async def test_actions(mode: str) -> None:
    """An action is handled by the application, answered with its result, and announced."""

    def handler(action: ActionInfo) -> Any:
        if action.action == "explode":
            raise EventError("TOO_HOT", {"degrees": 451})
        return {"by": action.user, "in": action.workspace, "payload": action.payload}

    async with socketio_gateway() as on:
        on.gateway.workspaces.on_action(handler)
        ann = await on.tabs.member(on.url, "ann", DASHBOARD, **MODES[mode])
        bob = await on.tabs.member(on.url, "bob", DASHBOARD, **MODES[mode])
        payload = {"widget": 7, "colour": "świt 🌅"}
        answer = await ann.ask("dashboard_action", {"action": "paint", "payload": payload})
        assert answer == {"ok": True, "result": {"by": "ann", "in": "w1", "payload": payload}}
        update = {"action": "paint", "payload": payload, "userId": "ann"}
        assert await ann.heard("dashboard_update") == update
        assert await bob.heard("dashboard_update") == update
        refusal = await ann.ask("dashboard_action", {"action": "explode"})
        assert refusal == {"error": "TOO_HOT", "details": {"degrees": 451}}
        for bad in (
            {},
            {"action": ""},
            {"action": "x" * 101},
            {"action": "a", "payload": "x" * 10_000},
            {"action": "a", "unknown": 1},
            {"action": "a", "payload": b"\x00"},
            None,
            "paint",
        ):
            answer = await ann.ask("dashboard_action", bad)
            assert answer["error"] == "VALIDATION_ERROR", bad
            assert answer["details"]
        assert bob.pending("dashboard_update") == []


@each_mode
async def test_an_action_without_the_right(mode: str) -> None:
    """A role that does not allow an action is refused, and nobody hears of it."""
    async with socketio_gateway() as on:
        ann = await on.tabs.member(on.url, "ann", DASHBOARD, **MODES[mode])
        eve = on.tabs.open(on.url, {"token": token("eve", roles=["viewer"])}, **MODES[mode])
        await eve.connected()
        await eve.join(DASHBOARD)
        assert await eve.ask("dashboard_action", {"action": "look"}) == {"ok": True}
        assert (await ann.heard("dashboard_update"))["action"] == "look"
        denied = {"error": "PERMISSION_DENIED"}
        assert await eve.ask("dashboard_action", {"action": "paint"}) == denied
        request = await on.gateway.workspaces.request_approval("w1", "Refund")
        verdict = {"requestId": request.id, "decision": "approve"}
        assert await eve.ask("approval_response", verdict) == denied
        await on.gateway.workspaces.emit(DASHBOARD, "dashboard_update", {"n": 1})
        assert await ann.heard("dashboard_update") == {"n": 1}


@each_mode
async def test_approvals(mode: str) -> None:
    """A request waits for who joins later; the first verdict counts, and everyone hears it."""
    async with socketio_gateway() as on:
        request = await on.gateway.workspaces.request_approval("w1", "Refund", REFUND)
        ann = await on.tabs.member(on.url, "ann", APPROVALS, **MODES[mode])
        told = {
            "requestId": request.id,
            "title": "Refund",
            "data": REFUND,
            "expiresAt": int(request.expires_at * 1000),
        }
        assert await ann.heard("approval_requested") == told
        bob = await on.tabs.member(on.url, "bob", APPROVALS, **MODES[mode])
        assert await bob.heard("approval_requested") == told
        for bad in (
            {"requestId": request.id},
            {"requestId": request.id, "decision": "perhaps"},
            {"decision": "approve"},
        ):
            assert (await ann.ask("approval_response", bad))["error"] == "VALIDATION_ERROR"
        verdict = {"requestId": request.id, "decision": "reject", "comment": "too much"}
        numbers = ann.start("approval_response", verdict), bob.start("approval_response", verdict)
        answers = [await ann.answer(numbers[0]), await bob.answer(numbers[1])]
        assert {"ok": True} in answers
        assert {"error": "ALREADY_DECIDED"} in answers
        winner = ("ann", "bob")[answers.index({"ok": True})]
        resolved = {
            "requestId": request.id,
            "decision": "reject",
            "userId": winner,
            "comment": "too much",
        }
        for tab in (ann, bob):
            assert await tab.heard("approval_resolved") == resolved
        kept = await on.gateway.workspaces.approval(request.id)
        assert kept is not None
        assert kept.verdict is not None
        assert (kept.verdict.decision.value, kept.verdict.user) == ("reject", winner)
        late = await on.tabs.member(on.url, "cat", APPROVALS, **MODES[mode])
        await settled(late)
        assert late.pending("approval_requested") == []
        unknown = {"requestId": "nothing", "decision": "approve"}
        assert await ann.ask("approval_response", unknown) == {"error": "PERMISSION_DENIED"}


@each_mode
async def test_state_between_two_tabs(mode: str) -> None:
    """What one tab sets the user's other tab is told, and a stale version is a conflict."""
    async with socketio_gateway() as on:
        first = await on.tabs.member(on.url, "ann", **MODES[mode])
        second = await on.tabs.member(on.url, "ann", **MODES[mode])
        stranger = await on.tabs.member(on.url, "bob", **MODES[mode])
        value = {"rows": [1, 2], "name": "zażółć"}
        answer = await first.ask("state_sync", {"key": "filter", "value": value})
        assert answer == {"ok": True, "version": 1}
        changed = {"key": "filter", "value": value, "version": 1}
        assert await second.heard("state_changed") == changed
        newer = {"key": "filter", "value": "b", "version": 1}
        assert await second.ask("state_sync", newer) == {"ok": True, "version": 2}
        assert await first.heard("state_changed") == {"key": "filter", "value": "b", "version": 2}
        stale = {"key": "filter", "value": "c", "version": 1}
        conflict = {"error": "CONFLICT", "version": 2, "value": "b"}
        assert await first.ask("state_sync", stale) == conflict
        for bad in (
            {"key": "k" * 101, "value": 1},
            {"key": "k", "value": "v" * 10_001},
            {"key": "k"},
        ):
            assert (await first.ask("state_sync", bad))["error"] == "VALIDATION_ERROR"
        for tab in (first, second, stranger):
            await settled(tab)
            assert tab.pending("state_changed") == []


@each_mode
async def test_a_newer_token(mode: str) -> None:
    """A client is warned before its token runs out, puts a newer one in force, and stays."""
    async with socketio_gateway() as on:
        tab = on.tabs.open(on.url, {"token": token("ann", ttl=40)}, **MODES[mode])
        await tab.connected()
        warning = await tab.heard("token_expiring")
        newer = token("ann", ttl=900)
        answer = await tab.ask("token_refresh", {"token": newer})
        assert answer.keys() == {"ok", "expiresAt"}
        assert answer["expiresAt"] - warning["expiresAt"] > 800_000
        await tab.join(DASHBOARD)
        assert tab.pending("token_expiring") == []


@each_mode
@pytest.mark.parametrize("whose", ["another user's", "of another workspace", "expired", "nonsense"])
async def test_a_newer_token_that_is_refused(mode: str, whose: str) -> None:
    """A token that is not the same subject's, or not good, ends the connection for good."""
    given = {
        "another user's": token("bob"),
        "of another workspace": token("ann", "w2"),
        "expired": token("ann", ttl=-3600),
        "nonsense": "nonsense",
    }[whose]
    async with socketio_gateway() as on:
        tab = await on.tabs.member(on.url, "ann", DASHBOARD, **MODES[mode])
        tab.emit("token_refresh", {"token": given})
        assert await tab.heard("error") == {"code": "INVALID_TOKEN"}
        told = await tab.told("disconnect")
        assert (told["reason"], told["active"]) == ("io server disconnect", False)
        assert on.gateway.channels() == {}


@each_mode
async def test_a_token_that_runs_out(mode: str) -> None:
    """A client that ignores the warning is told the end of its token, and may come back by itself."""
    async with socketio_gateway(FREE.replace("[tokens]\n", '[tokens]\nleeway = "0s"\n')) as on:
        tab = on.tabs.open(on.url, {"token": token("ann", ttl=2)}, **MODES[mode])
        await tab.connected()
        await tab.heard("token_expiring")
        tab.order("auth", auth={"token": token("ann")})
        error = await tab.heard("error")
        assert error.pop("retryMs") > 0
        assert error == {"code": "EXPIRED"}
        told = await tab.told("disconnect")
        assert (told["reason"], told["active"]) == ("transport close", True)
        await tab.connected()
        await tab.join(DASHBOARD)


@each_mode
async def test_events_that_nobody_knows(mode: str) -> None:
    """An unknown event, or one without its one argument, is acknowledged as an error and does nothing."""
    async with socketio_gateway() as on:
        tab = await on.tabs.member(on.url, "ann", DASHBOARD, **MODES[mode])
        for event, arguments in (
            ("unknown", ()),
            ("unknown", ({"a": 1}, 2)),
            ("join_room", ()),
            ("join_room", (DASHBOARD,)),
            ("join_room", ({"room": DASHBOARD}, 1)),
            ("join_room", ({"room": DASHBOARD, "more": 1},)),
            ("__proto__", ({"room": DASHBOARD},)),
        ):
            answer = await tab.ask(event, *arguments)
            assert answer["error"] == "VALIDATION_ERROR", event
            assert answer["details"], event
        tab.emit("unknown")
        await tab.join(DASHBOARD)
