"""Verdicts posted to the backend: what is sent, what is tried again, what is given up."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, cast

import pytest
from msgspec.structs import replace

from portward.app import webhook as module
from portward.app.webhook import AT_ONCE, PAUSES, ROOM, Target, Webhook, body, targets
from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.settings import Secret, Settings, load
from portward.telemetry.events import Event
from tests.running_gateway import RunningGateway, run_gateway, settings
from tests.socketio_peer import member

SECRET = "N2u8Wq3Zk5Yb7Tc9Rd1Fe4Hg6Jj0Lm2Pn8Qs5Vt3Xw"
PATIENCE = 30.0


class Backend:
    """An HTTP server that answers as it is told, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = "204 No Content"
        self.head = ""
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.open = 0
        self.most = 0
        self.port = 0
        self._came = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self.port}/approvals?key=hunter2"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (each.split(": ", 1) for each in rest)
            }
            content = await reader.readexactly(int(headers["content-length"]))
            async with self._came:
                self.heard.append(({"": line, **headers}, content))
                self._came.notify_all()
            self.open += 1
            self.most = max(self.most, self.open)
            await self.answering.wait()
            writer.write(f"HTTP/1.1 {self.status}\r\n{self.head}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def count(self, number: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(PATIENCE), self._came:
            await self._came.wait_for(lambda: len(self.heard) >= number)


@asynccontextmanager
async def backend() -> AsyncIterator[Backend]:
    """A backend that listens."""
    made = Backend()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.answering.set()
        server.close()
        await server.wait_closed()


def with_hook(url: str, secret: str = SECRET) -> Settings:
    """Settings in which agents decide, and verdicts are posted."""
    given = settings(roles={"agent": ("approvals.decide",)})
    changed = replace(
        given.endpoints["workspaces"],
        approval_webhook=url,
        approval_webhook_secret=Secret(secret),
    )
    return replace(given, endpoints={**given.endpoints, "workspaces": changed})


def approval(
    number: int = 1, *, namespace: str = "workspaces", comment: str | None = None
) -> Approval:
    """A request that was decided."""
    return Approval(
        id=f"r{number}",
        channel=Channel.parse(f"{namespace}:w1:approvals"),
        title="Refund?",
        data={"secret": "of the backend"},
        created_at=0.0,
        expires_at=60.0,
        verdict=Verdict(decision=Decision.APPROVE, user="ann", at=7.5, comment=comment),
    )


async def until(true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[tuple[Webhook, RunningGateway]]:
    """What posts for a gateway, in its telemetry and on its clock."""
    async with run_gateway(settings()) as running:
        found = Webhook(targets(with_hook(url)), running.clock, running.gateway.telemetry)
        try:
            yield found, running
        finally:
            await found.aclose()


def failures(running: RunningGateway) -> list[str]:
    """The reasons of every failure that was logged, in order."""
    assert running.gateway.telemetry.log.flush()
    lines = [line for line in running.log.getvalue().splitlines() if "webhook.fail" in line]
    return [line.partition("reason=")[2].split()[0] for line in lines]


async def decide(running: RunningGateway, **said: Any) -> str:
    """Have a member decide on a request; returns its id."""
    ann = await member(running, "ann", "workspace:w1:approvals")
    asked = await running.gateway.workspaces.request_approval("w1", "Refund?", {"order": 7})
    answer = {"requestId": asked.id, "decision": "approve", **said}
    assert await ann.call("approval_response", answer) == {"ok": True}
    return asked.id


async def test_a_verdict_is_posted() -> None:
    """Signed, as JSON, once, with who decided what and when, and nothing of the request's data."""
    async with backend() as there, run_gateway(with_hook(there.url)) as running:
        asked = await decide(running, comment="fine")
        await there.count(1)
        ((headers, content),) = there.heard
        assert failures(running) == []
    assert headers[""] == "POST /approvals?key=hunter2 HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("portward/")
    expected = hmac.new(SECRET.encode(), content, sha256).hexdigest()
    assert headers["x-portward-signature"] == f"sha256={expected}"
    assert json.loads(content) == {
        "requestId": asked,
        "workspace": "w1",
        "decision": "approve",
        "userId": "ann",
        "comment": "fine",
        "decidedAt": int(running.clock.time() * 1000),
    }


async def test_without_a_secret_nothing_is_signed() -> None:
    """And what was not said is not sent."""
    async with backend() as there, run_gateway(with_hook(there.url, "")) as running:
        await decide(running)
        await there.count(1)
        ((headers, content),) = there.heard
    assert "x-portward-signature" not in headers
    assert "comment" not in json.loads(content)


async def test_without_an_address_nothing_is_posted() -> None:
    """A gateway of default settings keeps verdicts to itself."""
    async with run_gateway(settings(roles={"agent": ("approvals.decide",)})) as running:
        await decide(running)
        assert failures(running) == []


async def test_a_reload_moves_it() -> None:
    """Another address and another key hold for the next verdict."""
    async with backend() as old, backend() as new, run_gateway(with_hook(old.url)) as running:
        running.gateway.reload(with_hook(new.url, SECRET[::-1]))
        await decide(running)
        await new.count(1)
        ((headers, content),) = new.heard
        assert headers["x-portward-signature"] == module.sign(content, SECRET[::-1])
        assert old.heard == []


async def test_a_failure_is_tried_again() -> None:
    """With growing pauses, five times in all; then it is given up, and all of it recorded."""
    async with backend() as there, posting(there.url) as (hook, running):
        there.status = "500 Oops"
        hook.decided(approval())
        for number, pause in enumerate(PAUSES, start=1):
            await there.count(number)
            await until(lambda: running.clock.pending > 0 and len(hook) == 1 and not there.open)
            await until(lambda n=number: running.events(Event.WEBHOOK_FAIL) == n)  # type: ignore[misc]  # bound now
            running.clock.advance(pause - 0.01)
            assert len(there.heard) == number
            running.clock.advance(0.01)
        await there.count(len(PAUSES) + 1)
        await until(lambda: not len(hook))
        assert failures(running) == ["status"] * 5 + ["given_up"]
        assert len({content for _, content in there.heard}) == 1
        log = running.log.getvalue()
        assert "hunter2" not in log
        assert SECRET not in log


async def test_a_later_attempt_gets_through() -> None:
    """Then nothing more is sent."""
    async with backend() as there, posting(there.url) as (hook, running):
        there.status = "503 Later"
        hook.decided(approval())
        await until(lambda: running.events(Event.WEBHOOK_FAIL) == 1)
        there.status = "200 OK"
        running.clock.advance(PAUSES[0])
        await there.count(2)
        await until(lambda: not len(hook))
        running.clock.advance(1000)
        assert (len(there.heard), failures(running)) == (2, ["status"])


async def test_redirects_are_not_followed() -> None:
    """A redirect is no answer, and the address in it is not asked."""
    async with backend() as there, backend() as other, posting(there.url) as (hook, running):
        there.status, there.head = "307 Elsewhere", f"Location: {other.url}\r\n"
        hook.decided(approval())
        await until(lambda: running.events(Event.WEBHOOK_FAIL) == 1)
        assert (failures(running), other.heard) == (["status"], [])


async def test_nobody_is_there() -> None:
    """A connection that is refused is a failure like another."""
    async with backend() as there:
        url = there.url
    async with posting(url) as (hook, running):
        hook.decided(approval())
        await until(lambda: running.events(Event.WEBHOOK_FAIL) == 1)
        assert failures(running) == ["connection"]


async def test_a_silent_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer in time is a failure; the connection is given up."""
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    async with backend() as there, posting(there.url) as (hook, running):
        there.answering.clear()
        hook.decided(approval())
        await until(lambda: running.events(Event.WEBHOOK_FAIL) == 1)
        assert failures(running) == ["timeout"]


async def test_few_at_once_and_none_lost() -> None:
    """However many verdicts come, a handful is under way, and each arrives once."""
    async with backend() as there, posting(there.url) as (hook, _):
        there.answering.clear()
        for number in range(50):
            hook.decided(approval(number))
        await there.count(AT_ONCE)
        there.answering.set()
        await there.count(50)
        await until(lambda: not len(hook))
        assert there.most <= AT_ONCE
        found = sorted(json.loads(content)["requestId"] for _, content in there.heard)
        assert found == sorted(f"r{number}" for number in range(50))


async def test_there_is_room_for_so_many() -> None:
    """What finds no room is dropped and recorded; deciding never waits."""
    async with backend() as there, posting(there.url) as (hook, running):
        there.answering.clear()
        for number in range(ROOM + 3):
            hook.decided(approval(number))
        assert len(hook) == ROOM
        assert running.events(Event.WEBHOOK_FAIL) == 3
        hook.targets = {}
        await there.count(AT_ONCE)


async def test_the_end_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for another try, or for an answer that does not come, is given up and recorded."""
    monkeypatch.setattr(module, "GRACE", 0.05)
    async with backend() as there, posting(there.url) as (hook, running):
        there.status = "500 Oops"
        hook.decided(approval(1))
        await until(lambda: running.events(Event.WEBHOOK_FAIL) == 1)
        there.answering.clear()
        for number in range(2, 4 + AT_ONCE):
            hook.decided(approval(number))
        await there.count(1 + AT_ONCE)
        await hook.aclose()
        assert len(hook) == 0
        hook.decided(approval(99))
        assert failures(running)[:2] == ["status", "closed"]
        assert running.events(Event.WEBHOOK_FAIL) == 1 + 1 + AT_ONCE + 2 + 1
        running.clock.advance(1000)
        assert len(there.heard) == 1 + AT_ONCE


async def test_the_last_posts_get_through() -> None:
    """A gateway that stops waits a moment for those that are answered; a failure is not tried again."""
    async with backend() as there, posting(there.url) as (hook, running):
        for number in range(20):
            hook.decided(approval(number))
        await hook.aclose()
        assert (len(there.heard), failures(running)) == (20, [])
    async with backend() as there, posting(there.url) as (hook, running):
        there.status = "500 Oops"
        hook.decided(approval())
        await hook.aclose()
        assert failures(running) == ["status", "given_up"]


async def test_an_address_that_cannot_be_posted_to() -> None:
    """A surprise of the HTTP library is recorded, and takes nothing with it."""
    async with backend() as there, posting(there.url) as (hook, running):
        wrong = Target("workspaces", cast("str", 7), Secret("x"))
        hook.targets = {"workspaces": (wrong, *hook.targets["workspaces"])}
        hook.decided(approval())
        await there.count(1)
        await until(lambda: len(hook) == 1)
        assert running.events(Event.INTERNAL_ERROR) == 1
        assert failures(running) == ["internal"]


def test_targets_are_those_of_the_settings() -> None:
    """Endpoints of one namespace share its verdicts; one that is off, or without an address, has none."""
    given = load(
        {},
        "portward.toml",
        read=lambda _: (
            """
            [endpoints.workspaces]
            approval_webhook = "https://a.example"
            approval_webhook_secret = "s"
            [endpoints.second]
            dialect = "socketio"
            namespace = "workspaces"
            approval_webhook = "https://b.example"
            [endpoints.third]
            dialect = "socketio"
            enabled = false
            approval_webhook = "https://c.example"
        """
        ),
    ).settings
    found = targets(given)
    assert {name: [each.url for each in there] for name, there in found.items()} == {
        "workspaces": ["https://a.example", "https://b.example"]
    }
    assert targets(Settings()) == {}


def test_nothing_secret_is_shown() -> None:
    """The repr of a target has neither its address nor its key."""
    assert (
        repr(Target("workspaces", "https://a.example/hunter2", Secret("s")))
        == "Target('workspaces')"
    )


def test_what_is_not_decided_is_not_posted() -> None:
    """There is nothing to say of it."""
    with pytest.raises(ValueError, match="not decided"):
        body(replace(approval(), verdict=None))
