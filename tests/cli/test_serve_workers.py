import os
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from portward.app.workers import control_protocol
from portward.app.workers.control_protocol import Task
from portward.app.workers.worker import WorkerPlace
from portward.cli import serve_workers
from portward.cli.config import with_state
from portward.cli.state import DevelopmentState
from portward.settings import Settings, SettingsError, load
from portward.settings.sections import ServerSettings
from tests.cli.console import Console
from tests.cli.processes import running

STATE = DevelopmentState("t" * 40, "s" * 40, "a" * 40)


@pytest.fixture
def ends(tmp_path: Path) -> tuple[WorkerPlace, socket.socket]:
    """A worker's place, and the parent's end of the line."""
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    task = Task(number=1, port=4711, name="box", folder=str(tmp_path))
    return WorkerPlace(task, theirs, theirs.makefile("rb")), ours


def test_worker_says_why_it_cannot_serve(ends: tuple[WorkerPlace, socket.socket]) -> None:
    """What goes wrong is told to the parent in one line, and printed by nobody else."""
    place, parent = ends

    def broken() -> Settings:
        raise SettingsError("not\nvalid")

    with parent:
        assert serve_workers.work(place, broken, lambda *_: 0) == 1
        assert control_protocol.report.decode(parent.recv(4096)).failed == "not valid"
        assert parent.recv(1) == b""


def test_worker_serves_with_its_own_settings(ends: tuple[WorkerPlace, socket.socket]) -> None:
    """A worker is run with the name and the port it was given."""
    place, parent = ends
    seen: list[Settings] = []

    def look(work: Coroutine[Any, Any, int], settings: Settings) -> int:
        work.close()
        seen.append(settings)
        return 0

    with parent:
        assert serve_workers.work(place, Settings, look) == 0
    assert (seen[0].server.port, seen[0].server.instance_id) == (4711, "box-1")


def test_variable_without_a_parent(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets the variable of workers by hand is told so, in one line."""
    monkeypatch.setenv(control_protocol.VARIABLE, "nobody")
    outcome = portward("serve")
    assert (outcome.code, outcome.out) == (1, "")
    assert "for a gateway's own workers" in outcome.err
    assert control_protocol.VARIABLE not in os.environ


def test_command_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is started like its parent, with what they share fixed."""
    settings = Settings(server=ServerSettings(host="::1", admin_port=0, workers=3))
    command = serve_workers._command(Path("my.toml"), settings)
    assert command[1:] == (
        *("-P", "-m", "portward", "serve", "--config", "my.toml"),
        *("--host=::1", "--admin-port=0", "--workers=3"),
    )
    monkeypatch.chdir(Path(serve_workers.__file__).parents[2])
    assert "-P" not in serve_workers._command(None, settings)


def test_made_up_secrets_are_handed_on() -> None:
    """Workers are given what development made up, and nothing that is configured."""
    made = serve_workers._made_up(with_state(load({}), STATE, "made up"))
    assert (made.token, made.session, made.admin) == ("t" * 40, "s" * 40, "a" * 40)
    configured = load({}, flags={"tokens.secrets": ["x" * 40], "admin.enabled": False})
    made = serve_workers._made_up(with_state(configured, STATE, "state /home"))
    assert (made.token, made.session, made.admin) == ("", "s" * 40, "")


@pytest.mark.parametrize("url", ["memory://", "sqlite:///portward.db", ""])
def test_several_workers_need_a_shared_store(home: Path, url: str) -> None:
    """Without Redis the start is refused with the reason and the line to write."""
    environment = {"PORTWARD_ENGINE__URL": url} if url else {}
    with running("serve", "--workers", "2", **environment) as process:
        line = process.expect("^portward: workers: 2 workers need a shared engine: ")
        assert 'engine.url = "redis://' in line.string
        assert process.wait() == 1
