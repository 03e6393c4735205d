import asyncio
import sys

import pytest

from portward.app.workers.control_protocol import Secrets
from portward.app.workers.parent import WorkersPlan, serve_workers
from portward.settings import Secret, Settings, SettingsError, load
from portward.settings.tokens import Tokens
from tests.app.workers.work import bare

PATIENCE = 60.0

TELLING = """
import os
from portward.app.workers.worker import taken
place = taken(os.environ)
place.fail(f"{len(place.task.secrets.session)} {place.task.name.rpartition('-')[0] != ''}")
"""
"""A worker that says what it was given, and ends."""


def plan(settings: Settings, program: str) -> WorkersPlan:
    """A gateway whose workers run `program`."""
    return WorkersPlan(
        command=(sys.executable, "-c", program),
        reload=lambda: settings,
        announce=lambda _: None,
        complain=lambda _: None,
        secrets=Secrets(),
    )


def settings(**flags: object) -> Settings:
    """Two workers over a store that nobody here asks."""
    shared = {"server.port": 0, "server.workers": 2, "engine.url": "redis://127.0.0.1:1/0"}
    return load({}, flags={"admin.enabled": False, **shared, **flags}).settings


async def test_only_linux_has_several_workers() -> None:
    """On another system the start is refused, with what to do instead."""
    given = settings()
    with pytest.raises(SettingsError, match="in a way that only Linux has"):
        await serve_workers(given, plan(given, ""), platform="darwin")


async def test_store_of_one_process() -> None:
    """Settings that several workers cannot share start nobody."""
    given = settings(**{"engine.url": "memory://"})
    with pytest.raises(SettingsError, match="workers: 2 workers need a shared engine"):
        await serve_workers(given, plan(given, ""))


@pytest.mark.parametrize(("secret", "length"), [("", 64), ("s" * 40, 0)])
async def test_secret_of_sessions_is_shared(
    monkeypatch: pytest.MonkeyPatch, secret: str, length: int
) -> None:
    """Where no secret of sessions is configured, one is made for all workers; else none is."""
    bare(monkeypatch)
    given = settings()
    tokens = Tokens(secrets=(Secret("t" * 40),), session_secret=Secret(secret))
    given = Settings(server=given.server, admin=given.admin, engine=given.engine, tokens=tokens)
    with pytest.raises(SettingsError, match=f"^{length} True$"):
        await asyncio.wait_for(serve_workers(given, plan(given, TELLING)), PATIENCE)


async def test_program_that_cannot_be_started() -> None:
    """A worker that the system does not start is tried three times."""
    given = settings()
    broken = plan(given, "")._replace(command=("/nowhere/python",))
    with pytest.raises(SettingsError, match="cannot be started: No such file"):
        await asyncio.wait_for(serve_workers(given, broken), PATIENCE)
