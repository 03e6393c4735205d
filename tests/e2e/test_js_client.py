"""The TypeScript client as it is built and imported by its name, against the gateway as it is served."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from portward.security.tokens import sign
from tests.e2e.gateways import ORIGIN, PROCESS, TOKENS, UNLIMITED, process
from tests.e2e.listeners import PATIENCE
from tests.e2e.live_client import TOPICS
from tests.e2e.process import ROOT, SECRET, Served
from tests.e2e.provider_server import COOKIE, directory
from tests.e2e.relay import relayed
from tests.e2e.socketio_gateways import REAL, free_port, on_port

CLIENT: Final = ROOT / "clients" / "js"
BUILT: Final = CLIENT / "dist" / "esm" / "index.js"
Event = dict[str, Any]

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not BUILT.exists(),
    reason="the TypeScript client is not built: make build",
)


def token(**claims: Any) -> str:
    """A token of ann's."""
    now = int(time.time())
    given = {
        "sub": "ann",
        "roles": ["user"],
        "permissions": ["alerts:*"],
        "iat": now,
        "exp": now + 600,
    }
    return sign(given | claims, SECRET)


class Driver:
    """A Node program that uses the client, and tells what happens to it."""

    def __init__(self, program: asyncio.subprocess.Process) -> None:
        self._program = program
        self.told: list[Event] = []

    async def until(self, **wanted: Any) -> Event:
        """Read on until something is told that has all of this."""
        assert self._program.stdout is not None
        async with asyncio.timeout(3 * PATIENCE):
            while line := await self._program.stdout.readline():
                event: Event = json.loads(line)
                self.told.append(event)
                if all(event.get(key, ...) == value for key, value in wanted.items()):
                    return event
        raise AssertionError((wanted, self.told))

    def say(self, line: str) -> None:
        """Write a line for it."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{line}\n".encode())

    async def end(self) -> None:
        """Let it close its client: then its process ends by itself, since nothing of it is left."""
        self.say("end")
        await self.until(done=True)
        async with asyncio.timeout(3 * PATIENCE):
            assert await self._program.wait() == 0


@asynccontextmanager
async def driving(endpoint: str, url: str, **variables: str) -> AsyncIterator[Driver]:
    """Run the program until the block ends."""
    program = await asyncio.create_subprocess_exec(
        *("node", "tests/e2e/drive.mjs", endpoint, url),
        cwd=CLIENT,
        env=os.environ | {"TOKEN": token(), "ORIGIN": ORIGIN} | variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Driver(program)
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


async def kill(served: Served) -> None:
    """The process is gone, without a word to anybody."""
    served.process.kill()
    await served.process.wait()


async def test_rooms_come_back_after_a_kill(tmp_path: Path) -> None:
    """A client whose gateway is killed comes back to the next one, and gets what was published meanwhile."""
    toml = on_port(TOKENS + PROCESS + UNLIMITED, free_port())
    async with process(tmp_path, toml) as first, driving("rooms", first.url) as driver:
        assert (await driver.until(joined=True)).get("recovered") is None
        assert (await driver.until(users=["ann"]))["users"] == ["ann"]
        driver.say("one")
        sent = (await driver.until(message="one"), await driver.until())
        assert sent[1]["sent"] | {"id": "", "epoch": ""} == {
            "status": "stored", "id": "", "offset": 1, "epoch": ""
        }  # fmt: skip
        await kill(first)
        await driver.until(state="waiting")
        async with process(tmp_path, toml) as second:
            await second.call("publish", channel="rooms:lobby", data={"text": "two"})
            await driver.until(joined=True, recovered=True)
            await driver.until(message={"text": "two"}, offset=2)
            driver.say("three")
            await driver.until(message="three", offset=3)
            await driver.end()
    assert [event["offset"] for event in driver.told if "message" in event] == [1, 2, 3]
    assert not any("gap" in event for event in driver.told)
    assert {"history": ["one", {"text": "two"}, "three"]} in driver.told


async def test_a_revoked_user_is_told_once(tmp_path: Path) -> None:
    """After a revocation the client stops: one callback, and no further attempt."""
    async with (
        process(tmp_path, TOKENS + PROCESS + UNLIMITED) as served,
        driving("rooms", served.url) as driver,
    ):
        await driver.until(users=["ann"])
        await served.call("revoke", user="ann")
        assert (await driver.until(of="rooms", closeCode=3503))["stopped"] == "force disconnect"


async def test_alerts_recover(tmp_path: Path) -> None:
    """The token goes in a header; after a kill the missed alert comes, once, by the position."""
    toml = on_port(TOKENS + PROCESS + UNLIMITED, free_port())

    async def publish(served: Served, kind: str) -> None:
        await served.call("alert", callId="call-7", type=kind, severity="high", data={})

    async with process(tmp_path, toml) as first, driving("alerts", first.url) as driver:
        await driver.until(subscribed=["call-7"])
        await driver.until(all=["*"])
        await publish(first, "one")
        await driver.until(alert="one")
        await kill(first)
        await driver.until(state="waiting")
        async with process(tmp_path, toml) as second:
            await publish(second, "two")
            await driver.until(alert="two")
            await publish(second, "three")
            await driver.until(alert="three")
            await driver.end()
    assert [event["alert"] for event in driver.told if "alert" in event] == ["one", "two", "three"]
    assert not any("gap" in event or "denied" in event for event in driver.told)
    assert {"history": ["one", "two", "three"]} in driver.told


async def test_live_by_cookie(tmp_path: Path) -> None:
    """The cookie opens a topic with its snapshot, and not the other one; a logout stops the client."""
    async with directory() as provider:
        provider.login("ann-1", "ann", "42")
        toml = (
            f"{PROCESS}{UNLIMITED}[gate]\nallowed_origins = ['{ORIGIN}']\n[identity_provider]\n"
            f'url = "{provider.url}"\n{TOPICS}'
        )
        async with process(tmp_path, toml) as served:
            score = {"channel": "live:event:42", "key": "score"}
            await served.call("publish", **score, data=1)
            async with driving("live", served.url, COOKIE=f"{COOKIE}=ann-1") as driver:
                await driver.until(snapshot=[["score", 1]])
                assert (await driver.until(forbidden="forbidden"))["forbidden"] == "forbidden"
                await served.call("publish", **score, data=2)
                await driver.until(data=2)
                await served.call("revoke", user="ann")
                await driver.until(of="live", closeCode=3503)
                await driver.end()


async def test_relay_to_the_stand_in() -> None:
    """A conversation is opened, spoken, and ended once and for all when the upstream is lost."""
    async with (
        relayed() as gateway,
        driving("relay", gateway.place.base, TOKEN=gateway.token()) as driver,
    ):
        await driver.until(event="session.created")
        await driver.until(event="response.done")
        await driver.end()


async def test_workspaces(tmp_path: Path) -> None:
    """A room is joined, an action is answered, and a revocation stops with its code."""
    claims = {"roles": ["agent"], "workspaceId": "w1"}
    async with (
        process(tmp_path, REAL) as served,
        driving("workspaces", served.url, TOKEN=token(**claims)) as driver,
    ):
        await driver.until(joined="workspace:w1:dashboard")
        await driver.until(ok=True)
        await served.call("revoke", user="ann")
        assert await driver.until(stopped="REVOKED") == {"stopped": "REVOKED", "temporary": False}
        await driver.end()
