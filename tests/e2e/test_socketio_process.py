"""Socket.IO clients and the real process: its end and its return, its admin API, two of it side by side."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import own_listener, process
from tests.e2e.process import KEY, Served
from tests.e2e.socketio_client import MODES, PATIENCE, Tab, Tabs, browsing
from tests.e2e.socketio_gateways import (
    APPROVALS,
    DASHBOARD,
    FREE,
    REAL,
    free_port,
    home,
    on_port,
    own_folder,
)
from tests.engines.redis_servers import Server, need_redis, servers

# Each starts several processes, which takes its time on a busy machine.
pytestmark = pytest.mark.timeout(180)


async def call(served: Served, method: str, path: str, **body: Any) -> Any:
    """A request for approval under an address of its own."""
    async with httpx.AsyncClient(trust_env=False, headers={"X-API-Key": KEY}) as client:
        answer = await client.request(method, f"{served.admin}api/{path}", json=body or None)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def kill(served: Served) -> None:
    """End a process as no process can prevent."""
    served.process.kill()
    await asyncio.wait_for(served.process.wait(), PATIENCE)


async def in_every_mode(tabs: Tabs, url: str, *rooms: str) -> dict[str, Tab]:
    """One user for each mode, in rooms."""
    return {mode: await tabs.member(url, mode, *rooms, **MODES[mode]) for mode in MODES}


async def wait_for_return(tab: Tab) -> None:
    """The client is in again, by itself."""
    told = await tab.told("disconnect")
    assert told["active"] is True
    assert told["reason"] in {"transport close", "transport error"}
    await tab.connected()


async def test_restarts(tmp_path: Path) -> None:
    """Clients come back by themselves after a kill -9 and after a drain, and everything goes on."""
    toml = on_port(REAL, free_port())
    async with browsing() as tabs:
        async with process(tmp_path, toml) as served:
            users = await in_every_mode(tabs, home(served), DASHBOARD, APPROVALS)
            asked = await call(served, "POST", "approvals", workspace="w1", title="Refund")
            for tab in users.values():
                assert (await tab.heard("approval_requested"))["requestId"] == asked["id"]
            await kill(served)
        async with process(tmp_path, toml) as served:
            for tab in users.values():
                await wait_for_return(tab)
                await tab.join(APPROVALS)
                assert (await tab.heard("approval_requested"))["requestId"] == asked["id"]
            served.process.send_signal(signal.SIGTERM)
            for tab in users.values():
                assert (await tab.heard("shutdown"))["retryMs"] >= 0
            assert await asyncio.wait_for(served.process.wait(), PATIENCE) == 0
        async with process(tmp_path, toml) as served:
            for user, tab in users.items():
                await wait_for_return(tab)
                await tab.join(DASHBOARD)
                assert await tab.ask("dashboard_action", {"action": "go"}) == {"ok": True}
                assert (await tab.heard("dashboard_update"))["userId"] == user
            verdict = {"requestId": asked["id"], "decision": "approve"}
            assert await users["polling"].ask("approval_response", verdict) == {"ok": True}
            decided = await call(served, "GET", f"approvals/{asked['id']}")
            assert (decided["decision"], decided["user"]) == ("approve", "polling")


async def test_a_withdrawn_membership(tmp_path: Path) -> None:
    """Who no longer belongs to a workspace is told to be out of its rooms, and hears nothing after."""
    async with process(tmp_path, REAL) as served, browsing() as tabs:
        url = home(served)
        bob = await tabs.member(url, "bob", DASHBOARD)
        users = await in_every_mode(tabs, url, DASHBOARD, APPROVALS)
        twins = await in_every_mode(tabs, url)
        for user, tab in users.items():
            await served.call("membership_set", user=user, workspaces=[])
            left = [await tab.heard("room_left") for _ in range(2)]
            assert {each["room"] for each in left} == {DASHBOARD, APPROVALS}
            assert all(each["reason"] for each in left)
        update = {"type": "dashboard_update", "data": {"n": 1}}
        await served.call("publish", channel="workspaces:w1:dashboard", **update)
        await call(served, "POST", "approvals", workspace="w1", title="Refund")
        assert await bob.heard("dashboard_update") == {"n": 1}
        for user, tab in users.items():
            shared = await twins[user].ask("state_sync", {"key": "after", "value": 1})
            assert shared == {"ok": True, "version": 1}
            assert (await tab.heard("state_changed"))["key"] == "after"
            assert tab.pending("dashboard_update") == []
            assert tab.pending("approval_requested") == []
            assert await tab.ask("join_room", {"room": DASHBOARD}) == {"error": "ACCESS_DENIED"}
            denied = {"error": "PERMISSION_DENIED"}
            assert await tab.ask("dashboard_action", {"action": "go"}) == denied
            await served.call("membership_set", user=user, workspaces=None)
            await tab.join(DASHBOARD)


async def test_requests_while_nobody_is_there(tmp_path: Path) -> None:
    """Requests made while nobody was connected are told at the join; expired and decided ones are not."""
    async with process(tmp_path, REAL) as served, browsing() as tabs:
        asked = [
            await call(served, "POST", "approvals", workspace="w1", title=f"n{n}", data={"n": n})
            for n in range(3)
        ]
        await call(served, "POST", "approvals", workspace="w2", title="of others")
        brief = await call(
            served, "POST", "approvals", workspace="w1", title="brief", expires_in=0.001
        )
        ann = await tabs.member(home(served), "ann", APPROVALS)
        pending = [await ann.heard("approval_requested") for _ in range(3)]
        assert [each["requestId"] for each in pending] == [each["id"] for each in asked]
        assert [each["data"] for each in pending] == [{"n": n} for n in range(3)]
        first = {"requestId": asked[0]["id"], "decision": "reject"}
        assert await ann.ask("approval_response", first) == {"ok": True}
        late = {"requestId": brief["id"], "decision": "approve"}
        assert await ann.ask("approval_response", late) == {"error": "ALREADY_DECIDED"}
        bob = await tabs.member(home(served), "bob", APPROVALS)
        assert [(await bob.heard("approval_requested"))["title"] for _ in range(2)] == ["n1", "n2"]
        await bob.join(DASHBOARD)
        assert bob.pending("approval_requested") == []


@asynccontextmanager
async def two_processes(folder: Path) -> AsyncIterator[tuple[Served, Served]]:
    """Two gateways over one Redis."""
    need_redis()
    with servers(Server(folder / "redis")) as (redis,):
        engine = {"PORTWARD_ENGINE__URL": redis.url}
        one, two = own_folder(folder, "one"), own_folder(folder, "two")
        async with process(one, REAL, engine) as first, process(two, REAL, engine) as second:
            yield first, second


async def duel(ann: Tab, bob: Tab, request: str) -> str:
    """Two verdicts at once; the winner's user."""
    numbers = [
        tab.start("approval_response", {"requestId": request, "decision": decision})
        for tab, decision in ((ann, "approve"), (bob, "reject"))
    ]
    answers = [await ann.answer(numbers[0]), await bob.answer(numbers[1])]
    assert sorted(answers, key=str) == [{"error": "ALREADY_DECIDED"}, {"ok": True}]
    return ("ann", "bob")[answers.index({"ok": True})]


async def test_two_processes(tmp_path: Path) -> None:
    """Clients of two processes share rooms, state, memberships, and one verdict on every request."""
    async with two_processes(tmp_path) as (first, second), browsing() as tabs:
        ann = await tabs.member(home(first), "ann", DASHBOARD, APPROVALS)
        bob = await tabs.member(home(second), "bob", DASHBOARD, APPROVALS)
        twin = await tabs.member(home(second), "ann")
        for _ in range(5):
            asked = await call(first, "POST", "approvals", workspace="w1", title="Refund")
            for tab in (ann, bob):
                assert (await tab.heard("approval_requested"))["requestId"] == asked["id"]
            winner = await duel(ann, bob, asked["id"])
            for tab in (ann, bob):
                resolved = await tab.heard("approval_resolved")
                assert (resolved["requestId"], resolved["userId"]) == (asked["id"], winner)
            decided = await call(second, "GET", f"approvals/{asked['id']}")
            assert decided["user"] == winner
        assert await bob.ask("dashboard_action", {"action": "go"}) == {"ok": True}
        assert (await ann.heard("dashboard_update"))["userId"] == "bob"
        assert (await ann.ask("state_sync", {"key": "k", "value": 1}))["version"] == 1
        assert await twin.heard("state_changed") == {"key": "k", "value": 1, "version": 1}
        await second.call("membership_set", user="ann", workspaces=["w2"])
        left = {(await ann.heard("room_left"))["room"] for _ in range(2)}
        assert left == {DASHBOARD, APPROVALS}
        await first.call("revoke", user="bob")
        assert (await bob.told("disconnect"))["reason"] == "io server disconnect"


async def test_bytes_between_two_nodes(tmp_path: Path) -> None:
    """What is emitted on one node, bytes in it, is heard on the other as it was."""
    need_redis()
    with servers(Server(tmp_path / "redis")) as (redis,):
        toml = f'{FREE}[engine]\nurl = "{redis.url}"\n'
        async with own_listener(toml) as one, own_listener(toml) as two, browsing() as tabs:
            namespaces = [each.gateway.workspaces.namespace("/x") for each in (one, two)]
            heard = []
            for place in (one, two):
                url = place.base.replace("ws:", "http:")
                tab = await tabs.member(url, "ann", DASHBOARD)
                heard.append((tab, await tab.enter("/x")))
                await heard[-1][1].connected()
            blob = {"deep": [bytes(range(256)), {"more": b""}]}
            await one.gateway.workspaces.emit(DASHBOARD, "here", blob)
            await namespaces[1].emit("there", 1, blob)
            for root, custom in heard:
                assert await root.heard("here") == blob
                assert await custom.heard("there") == [1, blob]
