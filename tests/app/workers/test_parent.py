import asyncio
import sys
from collections.abc import Callable

import httpx
import pytest
from msgspec.structs import replace

from portward.admin.server import bind
from portward.app.workers import parent
from portward.app.workers.control_protocol import Secrets
from portward.app.workers.parent import Reloads, WorkersPlan, serve_workers
from portward.node.sessions import LoopClock
from portward.settings import Secret, Settings, SettingsError, load
from portward.settings.operation import AdminSettings
from portward.settings.sections import GateSettings, ServerSettings, TlsSettings
from portward.settings.tokens import Tokens
from tests.app.workers.worker_admins import bare

pytestmark = pytest.mark.timeout(180)

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


OLD = Settings(admin=AdminSettings(enabled=False))
NEW = replace(
    OLD,
    gate=GateSettings(allowed_origins=("https://app.example",)),
    server=ServerSettings(port=4711),
)


class ReloadStage:
    """Two workers that are told to reload, and what is printed."""

    def __init__(self, read: Callable[[], Settings]) -> None:
        self.told = 0
        self.printed: list[str] = []
        self.workers = [0, 1]
        self.reloads = Reloads(OLD, read, self._order, self.printed.append)

    def _order(self) -> list[int]:
        self.told += 1
        return self.workers


def test_told_once_when_all_have_done_it() -> None:
    """One line says what changed and what waits, when the last worker has done it."""
    stage = ReloadStage(lambda: NEW)
    stage.reloads.begin()
    stage.reloads.on_text(0, "reloaded: gate.allowed_origins")
    assert stage.printed == []
    stage.reloads.on_text(1, "reloaded: gate.allowed_origins")
    assert stage.printed == ["reloaded: gate.allowed_origins; needs a restart: server.port"]
    assert stage.reloads.settings.gate == NEW.gate
    assert stage.reloads.settings.server == OLD.server


def test_worker_that_dies_meanwhile() -> None:
    """A worker that is gone is not waited for; the next one reads the settings anyway."""
    stage = ReloadStage(lambda: NEW)
    stage.reloads.begin()
    stage.reloads.on_text(0, "")
    stage.reloads.on_text(1, "reloaded: gate.allowed_origins")
    assert len(stage.printed) == 1
    stage.reloads.on_text(1, "")
    assert len(stage.printed) == 1


def test_worker_that_refuses() -> None:
    """A worker that cannot take what the parent could says so by itself."""
    stage = ReloadStage(lambda: NEW)
    stage.reloads.begin()
    stage.reloads.on_text(0, "reload refused: there is no file")
    stage.reloads.on_text(1, "reloaded: nothing changed")
    assert stage.printed[0] == "worker 0: reload refused: there is no file"


def test_bad_settings_reach_nobody() -> None:
    """Settings that cannot be read, or not be served, change nothing anywhere."""

    def broken() -> Settings:
        raise SettingsError("not valid TOML")

    stage = ReloadStage(broken)
    stage.reloads.begin()
    assert stage.printed == ["reload refused: not valid TOML"]
    assert stage.told == 0
    no_file = replace(OLD, server=ServerSettings(tls=TlsSettings(cert="/nowhere", key="/nowhere")))
    stage = ReloadStage(lambda: no_file)
    stage.reloads.begin()
    assert stage.told == 1  # the certificate is no matter of a reload: the old one stays


def test_nobody_is_there() -> None:
    """Between two lives of the only worker, what changed is told at once."""
    stage = ReloadStage(lambda: NEW)
    stage.workers = []
    stage.reloads.begin()
    assert len(stage.printed) == 1


async def test_admin_listener_without_workers() -> None:
    """While no worker is ready, requests get 503; later they wait for a worker."""
    sockets = await bind("127.0.0.1", 0)
    address = "http://{}:{}".format(*sockets[0].getsockname())
    unserved = parent._Unserved(sockets, LoopClock())
    unserved.serve(none_ready=True)
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=PATIENCE) as client:
        for path in ("/health", "/ready", "/metrics"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["status"] == "no worker is ready"
        answer = await client.post("/api/info", json={}, headers={"X-API-Key": "k"})
        assert answer.json()["error"] == {"code": 108, "message": "temporarily unavailable"}
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
        writer.close()  # says nothing, and gets nothing
        assert await reader.read() == b""
        unserved.serve(none_ready=False)
        waiting = asyncio.create_task(client.get("/health"))
        await asyncio.sleep(0)
        unserved.serve(none_ready=True)
        assert (await waiting).status_code == 503
    unserved.stop()
    for sock in sockets:
        sock.close()


async def test_admin_listener_with_too_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a worker the parent keeps few requests, and none for ever."""
    monkeypatch.setattr(parent, "UNSERVED_MAX", 1)
    sockets = await bind("127.0.0.1", 0)
    unserved = parent._Unserved(sockets, LoopClock())
    unserved.serve(none_ready=True)
    first = await asyncio.open_connection(*sockets[0].getsockname())
    second = await asyncio.open_connection(*sockets[0].getsockname())
    assert await asyncio.wait_for(second[0].read(), PATIENCE) == b""
    unserved.stop()
    assert await asyncio.wait_for(first[0].read(), PATIENCE) == b""
    for _, writer in (first, second):
        writer.close()
    for sock in sockets:
        sock.close()
