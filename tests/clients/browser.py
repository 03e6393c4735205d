"""A real Chromium without a window, driven over the DevTools protocol."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.clients.programs import PATIENCE, Record, Records
from tests.e2e.socketio_chromium import CHROMIUM

CLOSING: Final = 10.0
FLAGS: Final = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)


class Page(Records):
    """One tab. What the page gives to its function `report`, as JSON, is in `records`.

    `problems` are uncaught exceptions, whatever was written to the console, and breaches of the policy.
    `sockets` are the events of its WebSockets, in their order: the name of the event, and what it says.
    """

    def __init__(self, browser: "Browser", target: str, session: str) -> None:
        super().__init__()
        self._browser = browser
        self._session = session
        self.target = target
        self.problems: list[str] = []
        self.sockets: list[tuple[str, Record]] = []

    async def command(self, method: str, **params: Any) -> Record:
        """One command of the DevTools protocol."""
        return await self._browser.command(method, self._session, **params)

    async def navigate(self, url: str) -> None:
        """Go to an address, and wait until it is loaded."""
        loaded = self._browser.event(self._session, "Page.loadEventFired")
        await self.command("Page.navigate", url=url)
        await asyncio.wait_for(loaded, PATIENCE)

    async def back(self) -> None:
        """Go back in the history of the tab."""
        history = await self.command("Page.getNavigationHistory")
        entry = history["entries"][history["currentIndex"] - 1]
        navigated = self._browser.event(self._session, "Page.frameNavigated")
        await self.command("Page.navigateToHistoryEntry", entryId=entry["id"])
        await asyncio.wait_for(navigated, PATIENCE)

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression; of a promise, what it settles with."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def call(self, function: str, argument: Any) -> Any:
        """Call a function of the page with a JSON value."""
        return await self.evaluate(f"{function}({json.dumps(argument)})")

    def frames(self, event: str) -> list[tuple[float, str]]:
        """The texts that were `FrameSent` or `FrameReceived`, with the times in seconds."""
        return [
            (each["timestamp"], each["response"]["payloadData"])
            for name, each in self.sockets
            if name == event
        ]

    def times(self, event: str) -> list[float]:
        """When the WebSockets had an event, in the same seconds."""
        return [each["timestamp"] for name, each in self.sockets if name == event]

    def take(self, method: str, params: Record) -> None:
        """Keep what an event of the protocol says."""
        if method == "Runtime.bindingCalled":
            self.add(json.loads(params["payload"]))
        elif method.startswith("Network.webSocket"):
            self.sockets.append((method.removeprefix("Network.webSocket"), params))
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.problems.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and "Content Security Policy" in params["entry"]["text"]:
            self.problems.append(params["entry"]["text"])


class Browser:
    """A running browser: commands and their answers, events by the session of a tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Record]] = {}
        self._events: dict[tuple[str, str], list[asyncio.Future[Record]]] = {}
        self._pages: dict[str, Page] = {}

    async def read(self) -> None:
        """Read until the browser is gone."""
        with suppress(ConnectionClosed):
            async for text in self._socket:
                self._take(json.loads(text))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the browser is gone"))

    def _take(self, message: Record) -> None:
        if "id" in message:
            waiting = self._waiting.pop(message["id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return
        session = message.get("sessionId", "")
        for future in self._events.pop((session, message["method"]), []):
            if not future.done():
                future.set_result(message["params"])
        if session in self._pages:
            self._pages[session].take(message["method"], message["params"])

    def event(self, session: str, method: str) -> "asyncio.Future[Record]":
        """The next event of this name."""
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._events.setdefault((session, method), []).append(future)
        return future

    async def command(self, method: str, session: str = "", **params: Any) -> Record:
        """One command of the DevTools protocol, to the browser or to a tab."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        message: Record = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        await self._socket.send(json.dumps(message))
        answer = await asyncio.wait_for(self._waiting[number], PATIENCE)
        assert "error" not in answer, (method, answer)
        result: Record = answer["result"]
        return result

    async def page(self, url: str, *, context: str | None = None) -> Page:
        """A new tab at an address, in a context of its own where one is named."""
        own = {} if context is None else {"browserContextId": context}
        target = (await self.command("Target.createTarget", url="about:blank", **own))["targetId"]
        attached = await self.command("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, target, attached["sessionId"])
        self._pages[attached["sessionId"]] = page
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.command(f"{domain}.enable")
        await page.command("Runtime.addBinding", name="report")
        await page.navigate(url)
        return page


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """Run a browser. Everything has ended and is gone afterwards."""
    with TemporaryDirectory(prefix="pw", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *(CHROMIUM, *FLAGS, f"--user-data-dir={folder}", *flags, "about:blank"),
            env={"PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with connect(await _address(process), proxy=None, max_size=None) as socket:
                browser = Browser(socket)
                reading = asyncio.create_task(browser.read())
                try:
                    yield browser
                finally:
                    with suppress(ConnectionError, TimeoutError):
                        await browser.command("Browser.close")
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
        finally:
            await _end(process)


async def _address(process: asyncio.subprocess.Process) -> str:
    """Where the browser listens, which it prints; what it prints later is read and dropped."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stderr:
            found = re.search(r"DevTools listening on (ws://\S+)", line.decode(errors="replace"))
            if found:
                return found[1]
    raise AssertionError("the browser did not start")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of the browser; one that does not end is killed."""
    try:
        await asyncio.wait_for(process.communicate(), CLOSING)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
