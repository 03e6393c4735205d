"""The client in pages of a real Chromium: its browser build, under a strict Content Security Policy."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.clients.browser import Browser, Page
from tests.clients.client_programs import DRIVERS, PACKAGE, Driver, answering, need_package
from tests.clients.fault_proxy import FaultProxy, fault_proxy
from tests.clients.gateway import Process, gateway_process
from tests.clients.site import site

FILES: Final = {
    "/page.html": DRIVERS / "page.html",
    "/other.html": DRIVERS / "other.html",
    "/drivers/page.js": DRIVERS / "page.js",
    "/drivers/orders.js": DRIVERS / "orders.js",
    "/portward.global.js": PACKAGE / "dist" / "portward.global.js",
}
UNBOUND: Final = -1


@dataclass(frozen=True)
class Site:
    """The site with the page, and the gateway that lets its pages in."""

    port: int
    gateway: Process

    @property
    def page(self) -> str:
        """The address of the page with the client."""
        return f"http://localhost:{self.port}/page.html"

    @property
    def other(self) -> str:
        """The address of a page without anything."""
        return f"http://localhost:{self.port}/other.html"


@contextmanager
def site_and_gateway(folder: Path, more: str = "") -> Iterator[Site]:
    """Run both until the block ends."""
    need_package()
    with site(FILES) as port:
        gate = f'max_per_user = 0\nallowed_origins = ["http://localhost:{port}"]\n'
        with gateway_process(folder, more, gate) as gateway:
            yield Site(port, gateway)


class Tab(Driver):
    """A client in a tab, with what can be done to the tab."""

    def __init__(self, page: Page, browser: Browser, proxy: FaultProxy, user: str) -> None:
        super().__init__(page, self._obey, user)
        self.page = page
        self.proxy = proxy
        self._browser = browser

    async def _obey(self, **order: Any) -> None:
        await self.page.call("obey", order)

    async def begin(self, **options: Any) -> None:
        """Make the client, with the events of the real page."""
        url = f"ws://localhost:{self.proxy.port}"
        await self.start(url, page=True, **options)

    async def join(self, room: str, state: bool = False) -> None:
        """Be in a room."""
        await self.done("join done", do="join", room=room, state=state)

    async def state(self, state: str, start: int = 0) -> None:
        """Wait until the connection has been in a state."""
        await self.reports.first(
            lambda record: record["kind"] == "state" and record["state"] == state, start
        )

    async def event(self, event: str, start: int) -> Any:
        """Wait until the page itself was told something."""
        return await self.reports.first(
            lambda record: record["kind"] == "page" and record["event"] == event, start
        )

    async def _window(self, state: str) -> None:
        found = await self._browser.command("Browser.getWindowForTarget", targetId=self.page.target)
        await self._browser.command(
            "Browser.setWindowBounds",
            windowId=found["windowId"],
            bounds={"windowState": state},
        )

    async def hide(self) -> None:
        """The page becomes hidden."""
        start = len(self.reports.records)
        await self._window("minimized")
        await self.event("hidden", start)

    async def show(self) -> None:
        """The page becomes visible."""
        start = len(self.reports.records)
        await self._window("normal")
        await self.event("visible", start)

    async def network(self, online: bool) -> None:
        """The network of the browser goes away, or comes back."""
        start = len(self.reports.records)
        await self.page.command(
            "Network.emulateNetworkConditions",
            offline=not online,
            latency=0,
            downloadThroughput=UNBOUND,
            uploadThroughput=UNBOUND,
        )
        await self.event("online" if online else "offline", start)

    async def listeners(self) -> list[tuple[str, str]]:
        """The listeners of the window and of the document."""
        found = []
        for name in ("window", "document"):
            evaluated = await self.page.command("Runtime.evaluate", expression=name)
            listed = await self.page.command(
                "DOMDebugger.getEventListeners", objectId=evaluated["result"]["objectId"]
            )
            found += [(name, each["type"]) for each in listed["listeners"]]
        return sorted(found)


@asynccontextmanager
async def tab(
    browser: Browser, where: Site, user: str, cookie: tuple[str, str] | None = None
) -> AsyncIterator[Tab]:
    """A client in a tab of its own, behind a proxy of its own. Nothing may reach the console."""
    async with fault_proxy(where.gateway.port) as proxy:
        page = await browser.page(where.other)
        if cookie is not None:
            await page.command("Network.setCookie", name=cookie[0], value=cookie[1], url=where.page)
        await page.navigate(where.page)
        async with answering(Tab(page, browser, proxy, user)) as driver:
            assert isinstance(driver, Tab)
            yield driver
        await browser.command("Target.closeTarget", targetId=page.target)
        assert page.problems == []
