"""The live endpoint and a real Directus: its cookies, its permissions, its failures."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.node.sessions.clock import LoopClock
from portward.settings import load
from portward.telemetry.telemetry import make_telemetry
from tests.directus.server import (
    HIDDEN,
    LEAVER,
    MISSING,
    OPEN,
    PATIENCE,
    READER,
    SESSION,
    STRANGER,
    UNREADABLE,
    Directus,
    furnished,
)

# One Directus serves all tests, so one loop does. Installing its database counts for the first of them.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PAGE = "https://app.example.com"
REVALIDATE = 2.0
ANSWER = 2.0
CONFIG = f"""
[server]
port = 0
[admin]
enabled = false
[gate]
allowed_origins = ["{PAGE}"]
[identity_provider]
url = "{{url}}"
timeout = "{ANSWER:.0f}s"
revalidate = "{REVALIDATE:.0f}s"
[identity_provider.topics]
"event:{{{{id}}}}" = "/items/events/{{{{id}}}}?fields=id"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def directus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Directus]:
    """A running Directus."""
    async with furnished(tmp_path_factory.mktemp("directus")) as running:
        yield running


class RunningDirectus:
    """A gateway with its listener, in front of a Directus."""

    def __init__(self, gateway: Gateway, address: str) -> None:
        self.gateway = gateway
        self._address = address

    def visit(
        self, cookie: str | None, *, page: str | None = PAGE
    ) -> AbstractAsyncContextManager[ClientConnection]:
        """Connect as the script of a page does."""
        return connect(
            f"ws://{self._address}/live",
            additional_headers={} if cookie is None else {"Cookie": cookie},
            origin=None if page is None else Origin(page),
            proxy=None,
        )

    async def status(self, cookie: str | None, *, page: str | None = PAGE) -> int:
        """How a handshake is answered."""
        try:
            async with self.visit(cookie, page=page):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    async def admits(self, cookie: str) -> None:
        """Wait until a handshake succeeds; until then it is put off and never refused."""
        async with asyncio.timeout(PATIENCE):
            while (status := await self.status(cookie)) != 101:
                assert status == 503
                await asyncio.sleep(0.2)

    def user(self) -> dict[str, str | None]:
        """Who is behind the one open connection."""
        (connection,) = self.gateway.live.connections()
        assert connection.user is not None
        return connection.user

    def asked(self, result: str) -> float:
        """How many questions to Directus ended so."""
        registry = self.gateway.telemetry.metrics.registry
        name = "portward_identity_provider_seconds_count"
        return registry.get_sample_value(name, {"result": result}) or 0.0

    async def asked_more(self, result: str) -> None:
        """Wait until one more question has ended so."""
        before = self.asked(result)
        async with asyncio.timeout(PATIENCE):
            while self.asked(result) == before:  # noqa: ASYNC110 - counters tell nobody
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(loop_scope="module")
async def served(directus: Directus, tmp_path: Path) -> AsyncIterator[RunningDirectus]:
    """A gateway that has asked nothing yet."""
    file = tmp_path / "portward.toml"
    file.write_text(CONFIG.format(url=directus.url))
    settings = load({}, str(file)).settings
    telemetry = make_telemetry(settings, LoopClock(), io.StringIO())
    async with Gateway(settings, telemetry=telemetry) as gateway:
        server = Server(gateway)
        await server.start()
        host, port = server.public.addresses[0]
        try:
            yield RunningDirectus(gateway, f"{host}:{port}")
        finally:
            await server.stop()


async def hear(page: ClientConnection) -> Any:
    """The next message."""
    return json.loads(await asyncio.wait_for(page.recv(), PATIENCE))


async def subscribe(page: ClientConnection, event: int | str) -> Any:
    """Ask to follow an event; the answer."""
    await page.send(json.dumps({"type": "subscribe", "topic": f"event:{event}"}))
    return await hear(page)


async def ended(page: ClientConnection) -> int | None:
    """The close code, which comes within the bound and the time one answer may take."""
    await asyncio.wait_for(page.wait_closed(), REVALIDATE + ANSWER)
    return page.close_code


def forbidden(event: int | str) -> dict[str, str]:
    """The one refusal."""
    topic = f"event:{event}"
    return {
        "type": "error",
        "code": "forbidden",
        "message": "Subscription refused",
        "topic": topic,
    }


def tampered(cookie: str) -> str:
    """A session that reads like one of Directus, and is not signed by it."""
    return re.sub(r"\.[^.]+$", "." + "A" * 43, cookie)


# -- admission


async def test_the_cookie_of_a_login_admits(directus: Directus, served: RunningDirectus) -> None:
    """Who logged in over REST is let in by the cookie alone, and is who Directus says."""
    async with served.visit(await directus.login(READER)):
        user = served.user()
    assert (user["email"], user["first_name"], user["last_name"]) == (READER, READER, None)
    assert user["id"]
    assert user["role"]


async def test_who_may_not_read_their_own_account_is_let_in(
    directus: Directus, served: RunningDirectus
) -> None:
    """Directus tells no more than the id of a user without access to the app; that is enough."""
    async with served.visit(await directus.login(STRANGER)):
        user = served.user()
    assert user.pop("id")
    assert user == dict.fromkeys(("email", "role", "first_name", "last_name"))


async def test_wrong_cookies_are_refused(directus: Directus, served: RunningDirectus) -> None:
    """A made-up value, a signature that is not Directus's and a cookie of another name are a 401."""
    cookie = await directus.login(READER)
    assert await served.status(f"{SESSION}=wrong") == 401
    assert await served.status(tampered(cookie)) == 401
    assert await served.status(cookie.replace(SESSION, "session")) == 401
    assert await served.status(cookie) == 101


async def test_no_cookie_is_refused(served: RunningDirectus) -> None:
    """Without a cookie it is a 401, and Directus is not asked."""
    assert await served.status(None) == 401
    assert served.asked("no_cookie") == 1
    assert served.asked("unauthorized") == 0


@pytest.mark.parametrize("page", [None, "https://elsewhere.example.com"])
async def test_other_pages_are_refused(
    directus: Directus, served: RunningDirectus, page: str | None
) -> None:
    """A good cookie is worth nothing without the origin of an allowed page: 403, nothing is asked."""
    assert await served.status(await directus.login(READER), page=page) == 403
    assert served.asked("ok") == 0


# -- the end of a session


async def test_logout_ends_the_connection(directus: Directus, served: RunningDirectus) -> None:
    """A logout ends what is open within the bound; another login of the same user stays."""
    cookie, other = await directus.login(READER), await directus.login(READER)
    async with served.visit(cookie) as page, served.visit(other) as second:
        await directus.logout(cookie)
        assert await ended(page) == 3503
        assert await subscribe(second, OPEN)
        assert second.close_code is None
    assert await served.status(cookie) == 401


async def test_deleted_account_ends_the_connection(
    directus: Directus, served: RunningDirectus
) -> None:
    """A user whose account is deleted loses what is open within the bound."""
    cookie = await directus.login(LEAVER)
    async with served.visit(cookie) as page:
        await directus.delete(LEAVER)
        assert await ended(page) == 3503
    assert await served.status(cookie) == 401


async def test_refreshed_session_ends_the_old_connection(
    directus: Directus, served: RunningDirectus
) -> None:
    """Directus replaces the cookie on a refresh: what the old one opened ends, the new one is let in."""
    cookie = await directus.login(READER)
    async with served.visit(cookie) as page:
        renewed = await directus.refresh(cookie)
        assert renewed != cookie
        await asyncio.wait_for(page.wait_closed(), PATIENCE)
        assert page.close_code == 3503
    assert await served.status(renewed) == 101


# -- topics


async def test_permissions_open_topics(directus: Directus, served: RunningDirectus) -> None:
    """Who may read the event follows it; one hidden by a rule, one missing and one absurd read the same."""
    async with served.visit(await directus.login(READER)) as page:
        answer = await subscribe(page, OPEN)
        assert (answer["type"], answer["topic"]) == ("subscribed", f"event:{OPEN}")
        for event in (HIDDEN, MISSING, UNREADABLE):
            assert await subscribe(page, event) == forbidden(event)


async def test_without_permission_all_topics_read_the_same(
    directus: Directus, served: RunningDirectus
) -> None:
    """Who may read nothing is told the same of every event, there or not."""
    async with served.visit(await directus.login(STRANGER)) as page:
        for event in (OPEN, HIDDEN, MISSING, UNREADABLE):
            assert await subscribe(page, event) == forbidden(event)


async def test_publications_and_snapshot(directus: Directus, served: RunningDirectus) -> None:
    """A publication arrives; who comes later finds the latest of each key in the snapshot."""
    cookie, topic = await directus.login(READER), f"event:{OPEN}"
    async with served.visit(cookie) as first, served.visit(cookie) as second:
        assert (await subscribe(first, OPEN))["snapshot"] == []
        for score in (1, 2):
            await served.gateway.publish(f"live:{topic}", {"score": score}, key="score")
        heard = [await hear(first), await hear(first)]
        assert [each["data"] for each in heard] == [{"score": 1}, {"score": 2}]
        assert {(each["type"], each["topic"], each["key"]) for each in heard} == {
            ("data", topic, "score")
        }
        last = {name: heard[1][name] for name in ("key", "data", "ts", "offset")}
        answer = await subscribe(second, OPEN)
        assert answer["snapshot"] == [last]
        assert answer["position"]["offset"] == last["offset"]


# -- failures


async def test_frozen_directus(directus: Directus, served: RunningDirectus) -> None:
    """While Directus answers nothing newcomers are put off and who is in stays; then all goes on."""
    cookie, handshake = await directus.login(READER), await directus.login(READER)
    async with served.visit(cookie) as page:
        await subscribe(page, OPEN)
        directus.freeze()
        try:
            assert await served.status(handshake) == 503
            await served.asked_more("timeout")
            await still_served(served, page)
        finally:
            directus.thaw()
        await served.admits(handshake)
        await still_served(served, page)
        await directus.logout(cookie)
        await asyncio.wait_for(page.wait_closed(), PATIENCE)
        assert page.close_code == 3503


async def test_killed_directus(directus: Directus, served: RunningDirectus) -> None:
    """While Directus is gone newcomers are put off and who is in stays; sessions outlive its restart."""
    cookie, handshake = await directus.login(READER), await directus.login(READER)
    async with served.visit(cookie) as page:
        await subscribe(page, OPEN)
        await directus.kill()
        try:
            assert await served.status(handshake) == 503
            await served.asked_more("error")
            answer = await subscribe(page, HIDDEN)
            assert (answer["type"], answer["code"]) == ("error", "unavailable")
            await still_served(served, page)
        finally:
            await directus.start()
        await served.admits(handshake)
        assert await subscribe(page, HIDDEN) == forbidden(HIDDEN)
        await still_served(served, page)


async def still_served(served: RunningDirectus, page: ClientConnection) -> None:
    """A connection that follows the open event hears what is published."""
    await served.gateway.publish(f"live:event:{OPEN}", "still here")
    assert (await hear(page))["data"] == "still here"
