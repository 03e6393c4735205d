import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from portward.cli.connect.socketio import websocket_address
from portward.cli.demo import (
    CHAT_MESSAGES,
    CHAT_USER,
    WAITING,
    DemoPublisher,
    DemoServices,
    loaded,
)
from portward.cli.serve import free_port
from portward.client import Message, RoomsClient
from portward.demo.info import AGENT, SUPERVISOR, VICTOR, WENDY
from portward.demo.listener import HOST, DemoListener
from portward.model.errors import Unavailable
from portward.settings import Settings
from tests.cli.demos import Demo, demonstration


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    """A running demonstration."""
    async with demonstration() as made:
        yield made


@pytest.fixture
async def browser(demo: Demo) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the demo's own site, and keeps its cookies."""
    async with httpx.AsyncClient(base_url=demo.page, trust_env=False) as client:
        yield client


async def told(browser: httpx.AsyncClient, page: str) -> Any:
    """What a page is told; waits until it is there."""
    return (await browser.get(f"/settings/{page}.json")).json()


async def hear(socket: ClientConnection, kind: str) -> Any:
    """The next message of a type."""
    while True:
        message = json.loads(await socket.recv())
        if message["type"] == kind:
            return message


def test_settings_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo reads neither the environment nor a file, and its ports differ."""
    monkeypatch.setenv("PORTWARD_SERVER__PORT", "1")
    monkeypatch.setenv("DIRECTUS_BASE_URL", "https://directus.example.com")
    with closing(DemoListener(free_port(HOST, 8082))) as own:
        found = loaded(own.url)
        server, provider = found.settings.server, found.settings.identity_provider
        assert found.settings.environment == "development"
        assert len({1, own.port, server.port, server.admin_port}) == 4
        assert found.settings.engine.url == "memory://"
        assert provider.url == own.url
        assert provider.topics == {"event:{id}": "/items/events/{id}?fields=id"}
        assert found.sources["identity_provider.url"] == "file the demo"


async def test_printed_lines_work(demo: Demo) -> None:
    """The page is there, and who connects as it says can talk and hears the simulated user."""
    (opening,) = demo.opened
    url = opening.split()[1]
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url)).status_code == 200
    await demo.line("token")
    command = await demo.line("bob talks")
    match = re.fullmatch(r"\S+ connect (\S+) --subscribe lobby --token (\S+)", command)
    assert match is not None
    async with RoomsClient(match[1], token=match[2]) as bob:
        assert bob.user == "bob"
        await bob.join("lobby")
        heard: list[object] = []
        async for event in bob:
            if isinstance(event, Message):
                assert event.user == CHAT_USER
                heard.append(event.content)
            if len(heard) == len(CHAT_MESSAGES):
                break
        assert set(heard) == set(CHAT_MESSAGES)


# -- alerts


def alerts(settings: Any, who: str) -> str:
    """The address with the token, as the page uses it."""
    return f"{settings['address']}?token={settings['tokens'][who]}"


async def test_supervisor_hears_the_engine(demo: Demo, browser: httpx.AsyncClient) -> None:
    """The printed address lets the supervisor in, who hears alerts of the simulated calls."""
    command = await demo.line("sue listens")
    address = command.split('"')[1]
    assert address == alerts(await told(browser, "alerts"), SUPERVISOR)
    async with connect(address) as socket:
        await hear(socket, "handshake")
        await socket.send('{"type":"subscribe","callIds":["*"]}')
        assert (await hear(socket, "subscribed"))["payload"] == {"callIds": ["*"]}
        alert = (await hear(socket, "alert"))["payload"]
        assert alert["callId"] in (await browser.get("/calls.json")).json()
        assert alert["severity"] in {"low", "medium", "high", "critical"}


async def test_agent_hears_one_team(demo: Demo, browser: httpx.AsyncClient) -> None:
    """The agent is denied the other team's calls, and all together."""
    async with connect(alerts(await told(browser, "alerts"), AGENT)) as socket:
        wanted = {"type": "subscribe", "callIds": ["call-1999", "call-2999", "*"]}
        await socket.send(json.dumps(wanted))
        answer = (await hear(socket, "subscribed"))["payload"]
        assert answer["callIds"] == ["call-1999"]
        assert set(answer["denied"]) == {"call-2999", "*"}


# -- workspaces


class Worker:
    """Somebody at work, over Engine.IO and Socket.IO as they travel."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked = 0

    async def until(self, start: str) -> Any:
        """The arguments of the next packet that begins so."""
        while True:
            text = await self._socket.recv(decode=True)
            if text == "2":
                await self._socket.send("3")
            elif text.startswith(start):
                return json.loads(text[len(start) :])

    async def call(self, event: str, **data: Any) -> Any:
        """Emit an event, and return what it is acknowledged with."""
        self._asked += 1
        await self._socket.send(f"42{self._asked}{json.dumps([event, data])}")
        return (await self.until(f"43{self._asked}"))[0]

    async def event(self, name: str) -> Any:
        """The data of the next event of a name."""
        while True:
            event, data = await self.until("42")
            if event == name:
                return data


@asynccontextmanager
async def worker(settings: Any, who: str) -> AsyncIterator[Worker]:
    """Connect as one of the people, with the page's settings, and enter the dashboard."""
    async with connect(websocket_address(settings["address"])) as socket:
        made = Worker(socket)
        assert "sid" in await made.until("0")
        await socket.send("40" + json.dumps({"token": settings["tokens"][who]}))
        assert "sid" in await made.until("40")
        room = f"workspace:{settings['workspace']}:dashboard"
        assert await made.call("join_room", room=room) == {"joined": room}
        yield made


async def test_wendy_works(demo: Demo, browser: httpx.AsyncClient) -> None:
    """The agent hears figures, resets them, decides on a request, and has one note in two windows."""
    settings = await told(browser, "workspaces")
    async with worker(settings, WENDY) as wendy, worker(settings, WENDY) as twin:
        assert set(await wendy.event("figures")) == {"orders", "revenue"}
        assert await wendy.call("dashboard_action", action="reset") == {
            "ok": True,
            "result": {"orders": 0, "revenue": 0},
        }
        assert (await twin.event("dashboard_update"))["userId"] == "wendy"
        refused = await wendy.call("dashboard_action", action="close")
        assert refused["error"] == "UNKNOWN_ACTION"
        room = f"workspace:{settings['workspace']}:approvals"
        assert await wendy.call("join_room", room=room) == {"joined": room}
        asked = await wendy.event("approval_requested")
        assert asked["title"].startswith("Refund ")
        decided = await wendy.call(
            "approval_response", requestId=asked["requestId"], decision="approve"
        )
        assert decided == {"ok": True}
        assert (await wendy.call("state_sync", key="note", value="milk"))["version"] == 1
        assert (await twin.event("state_changed"))["value"] == "milk"


async def test_victor_watches(demo: Demo, browser: httpx.AsyncClient) -> None:
    """The viewer hears the same, and may do nothing."""
    async with worker(await told(browser, "workspaces"), VICTOR) as victor:
        assert await victor.event("figures")
        refused = await victor.call("dashboard_action", action="reset")
        assert refused == {"error": "PERMISSION_DENIED"}


async def test_the_printed_address_of_the_workspace(demo: Demo) -> None:
    """The command that is printed names the endpoint, a room and a token."""
    command = await demo.line("wendy works")
    assert re.search(
        r"connect ws://\S+/socket\.io/ --subscribe workspace:w1:dashboard --token ", command
    )


# -- live


async def login(browser: httpx.AsyncClient, number: int) -> Any:
    """Log in as one of the accounts; return what the live page is told."""
    settings = await told(browser, "live")
    user = {name: settings["users"][number][name] for name in ("email", "password")}
    answer = await browser.post("/auth/login", json=user, headers={"origin": str(browser.base_url)})
    assert answer.status_code == 200
    return settings


def watching(browser: httpx.AsyncClient, settings: Any) -> connect:
    """Connect as the page does: with its origin and its cookies, and nothing else."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    origin: Any = str(browser.base_url).rstrip("/")
    return connect(settings["address"], origin=origin, additional_headers={"cookie": cookies})


async def subscribe(socket: ClientConnection, topic: str) -> Any:
    """Subscribe; return the answer."""
    await socket.send(json.dumps({"type": "subscribe", "topic": topic, "id": topic}))
    while True:
        message = json.loads(await socket.recv())
        if message.get("id") == topic:
            return message


async def test_ada_watches_everything(demo: Demo, browser: httpx.AsyncClient) -> None:
    """Who may watch both events gets a snapshot of both boards, then updates."""
    settings = await login(browser, 0)
    async with watching(browser, settings) as socket:
        for board in settings["boards"]:
            answer = await subscribe(socket, board["topic"])
            assert answer["type"] == "subscribed"
            assert {each["key"] for each in answer["snapshot"]} == {"score", "clock", "possession"}
        news = await hear(socket, "data")
        assert news["topic"] in {board["topic"] for board in settings["boards"]}


async def test_bob_watches_the_public_event(demo: Demo, browser: httpx.AsyncClient) -> None:
    """The private event is refused in the words of one that does not exist."""
    settings = await login(browser, 1)
    async with watching(browser, settings) as socket:
        assert (await subscribe(socket, "event:42"))["type"] == "subscribed"
        private, absent = await subscribe(socket, "event:7"), await subscribe(socket, "event:8")
        assert (private["type"], private["code"]) == ("error", "forbidden")
        assert (absent["code"], absent["message"]) == (private["code"], private["message"])


async def test_strangers_watch_nothing(demo: Demo, browser: httpx.AsyncClient) -> None:
    """Without a login the handshake is refused, with a made-up cookie too."""
    settings = await told(browser, "live")
    for cookie in ("", "0" * 64):
        if cookie:
            browser.cookies.set("directus_session_token", cookie)
        with pytest.raises(InvalidStatus) as refused:
            await watching(browser, settings).__aenter__()
        assert refused.value.response.status_code == 401


async def test_nothing_was_begun() -> None:
    """A demonstration that never began ends all the same."""
    with closing(DemoListener(0)) as own:
        async with DemoServices(Settings(), own, print, print):
            pass


async def test_publications_wait_for_the_gateway() -> None:
    """They are published in order; those without room and those that cannot be stored are dropped."""
    taken: list[object] = []

    async def publish(_: str, data: object, __: str) -> None:
        if data == 1:
            raise Unavailable
        if data == "end":
            raise RuntimeError("not running")
        taken.append(data)

    publisher = DemoPublisher(publish)
    for number in range(WAITING - 1):
        publisher("live:a", number, "x")
    for data in ("end", "dropped"):
        publisher("live:a", data, "x")
    await publisher.run()
    assert taken == [0, *range(2, WAITING - 1)]
