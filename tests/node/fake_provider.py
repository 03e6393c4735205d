"""An identity provider whose answers a test decides; the real client of one is tested by itself."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from portward.app import build
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import Identity
from portward.settings import Settings
from portward.settings.presets import ENDPOINTS, NAMESPACES
from portward.settings.sections import IdentityProviderSettings
from portward.testing import MemoryClient, connect
from tests.running_gateway import RunningGateway, run_gateway, settle

ORIGIN = "http://localhost:3000"


class FakeProvider:
    """Implements `node.rights.IdentityProviderPort`: cookies are `session=<name>`, names are people."""

    def __init__(self) -> None:
        self.names = {"ann", "bob"}
        self.roles: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.open = {"event:1"}
        self.down = False
        self.gate: asyncio.Event | None = None
        self.asked: list[tuple[str, float | None]] = []
        self.questions: list[tuple[str, str]] = []
        self.good: set[str] = set()
        self.without = 0
        self.closed = False

    async def identify(self, cookies: str, *, max_age: float | None = None) -> Identity:
        """Who it is."""
        self.asked.append((cookies, max_age))
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise Unavailable
        name = cookies.removeprefix("session=")
        self.good.discard(cookies)
        if name not in self.names:
            raise CommandError(ErrorKind.AUTHENTICATION_FAILED, detail="cookie")
        self.good.add(cookies)
        role = self.roles.get(name)
        roles = frozenset({role} if role else ())
        return Identity(subject=self.aliases.get(name, name), roles=roles, issued_at=1.0)

    async def allows(self, cookies: str, name: str, *, max_age: float | None = None) -> bool:  # noqa: ARG002 - the port
        """Whether a topic is open."""
        self.questions.append((cookies, name))
        if self.down:
            raise Unavailable
        return name in self.open

    def confirmed(self, cookies: str) -> bool:
        """Whether they were somebody's when last asked about."""
        return cookies in self.good

    def absent(self) -> None:
        """Count."""
        self.without += 1

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True


def with_cookies(live: Mapping[str, Any] | None = None, **sections: Any) -> Settings:
    """Settings of a gateway with a provider; `live` changes the endpoint."""
    endpoints = {**ENDPOINTS, "live": replace(ENDPOINTS["live"], **(live or {}))}
    provider = IdentityProviderSettings(url="http://127.0.0.1:1", cookies=("session",))
    given = {"endpoints": endpoints, "namespaces": dict(NAMESPACES)}
    return Settings(identity_provider=provider, **{**given, **sections})


@asynccontextmanager
async def with_provider(
    monkeypatch: pytest.MonkeyPatch, settings: Settings | None = None
) -> AsyncIterator[tuple[RunningGateway, FakeProvider]]:
    """A running gateway and the people it knows."""
    people = FakeProvider()
    monkeypatch.setattr(build, "make_provider", lambda *_: people)
    async with run_gateway(settings or with_cookies()) as running:
        yield running, people


async def visit(running: RunningGateway, name: str, **headers: str) -> MemoryClient:
    """Come in by cookie, as a page would."""
    given = {"cookie": f"session={name}", "origin": ORIGIN} | headers
    client = await connect(running.gateway, "/live", **given)
    await settle()
    return client
