"""Socket.IO clients and several workers: every request of a polling session may come to another one."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.process import CONFIG
from tests.e2e.socketio_client import MODES, browsing
from tests.e2e.workers import LONG, WorkerGroup, ready, run_workers, store

DASHBOARD = "workspace:w1:dashboard"
REAL = (
    CONFIG
    + """
[roles]
agent = ["dashboard.*"]
[endpoints.workspaces.limits.connections]
max = 0
"""
)

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


def home(made: WorkerGroup) -> str:
    """Where Socket.IO clients connect."""
    return made.url.replace("ws:", "http:").removesuffix("/rooms")


async def test_every_request_finds_its_worker(tmp_path: Path) -> None:
    """Clients by polling, by WebSocket and by one after the other work together over two workers."""
    with store(tmp_path) as redis:
        async with run_workers(tmp_path, redis.url, config=REAL) as served, browsing() as tabs:
            await ready(served)
            modes = [*MODES.values()] * 3
            everyone = [
                await tabs.member(home(served), f"u{n}", DASHBOARD, **mode)
                for n, mode in enumerate(modes)
            ]
            for turn in range(5):
                for tab in everyone:
                    answer = await tab.ask("state_sync", {"key": tab.name, "value": turn})
                    assert answer["ok"] is True
            for number, tab in enumerate(everyone):
                assert await tab.ask("dashboard_action", {"action": "go"}) == {"ok": True}
                for other in everyone:
                    assert (await other.heard("dashboard_update"))["userId"] == f"u{number}"
            workspaces = 'portward_connections{endpoint="workspaces"}'
            assert (await served.metrics())[workspaces] == len(everyone)
            refused = (
                'portward_handshakes_refused_total{endpoint="workspaces",reason="bad_request"}'
            )
            assert (await served.metrics())[refused] == 0
            for tab in everyone:
                tab.leave()
            async with asyncio.timeout(LONG):
                while (await served.metrics())[workspaces]:  # noqa: ASYNC110 - in another process
                    await asyncio.sleep(0.1)
            served.process.send_signal(signal.SIGTERM)
            assert await served.wait() == 0


@pytest.mark.long
async def test_session_of_a_dead_worker(tmp_path: Path) -> None:
    """Polls for a worker that is gone are told that there is no such session, and clients come back."""
    with store(tmp_path) as redis:
        async with run_workers(tmp_path, redis.url, config=REAL) as served, browsing() as tabs:
            await ready(served)
            everyone = [
                await tabs.member(home(served), f"u{n}", DASHBOARD, **MODES["polling"])
                for n in range(6)
            ]
            for pid in served.workers:
                os.kill(pid, signal.SIGKILL)
            for tab in everyone:
                await tab.told("disconnect")
                await tab.connected()
                await tab.join(DASHBOARD)
            assert await everyone[0].ask("dashboard_action", {"action": "go"}) == {"ok": True}
            for tab in everyone:
                assert (await tab.heard("dashboard_update"))["userId"] == "u0"
