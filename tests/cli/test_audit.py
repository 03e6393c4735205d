import asyncio
import io
import socket
from pathlib import Path

import pytest

from portward import __version__
from portward.engines.port import Key
from portward.engines.sqlite import SqliteEngine
from portward.settings import Settings
from portward.settings.operation import AuditSettings
from portward.telemetry.events import Event
from portward.telemetry.telemetry import make_telemetry
from portward.testing import FakeClock
from portward.testing.engine_contract import Recorder
from tests.cli.console import Console
from tests.engines.redis_servers import free_port

CANARY = "canary-4711"


@pytest.fixture
def audit(home: Path) -> Path:
    """An audit file as a gateway leaves it."""
    path = home / "audit.jsonl"
    telemetry = make_telemetry(
        Settings(audit=AuditSettings(file=str(path))), FakeClock(), io.StringIO()
    )
    telemetry.start()
    telemetry.record(Event.AUTH_FAIL, reason="signature")
    telemetry.close()
    return path


def test_sound_file(portward: Console, audit: Path) -> None:
    """A chain that is whole is told so."""
    outcome = portward("audit", "verify", str(audit))
    assert outcome.code == 0
    assert outcome.out.endswith(": sound\n")


def test_changed_line(portward: Console, audit: Path) -> None:
    """The first bad line is named, with exit code 1."""
    audit.write_bytes(audit.read_bytes().replace(b"signature", b"signatura", 1))
    outcome = portward("audit", "verify", str(audit))
    assert (outcome.code, outcome.out) == (1, "")
    assert "audit.jsonl, line 2: changed, or written with another key" in outcome.err


def test_cut_tail(portward: Console, audit: Path) -> None:
    """A tail that was cut off is noticed."""
    audit.write_bytes(audit.read_bytes().splitlines(keepends=True)[0])
    outcome = portward("audit", "verify", str(audit))
    assert outcome.code == 1
    assert "the tail was cut" in outcome.err


def test_no_such_file(portward: Console) -> None:
    """A file that is not there is refused in one line."""
    outcome = portward("audit", "verify", "nothing.jsonl")
    assert (outcome.code, outcome.err) == (1, "portward: nothing.jsonl: no such file\n")


def test_unreadable_file(portward: Console, audit: Path) -> None:
    """A file that cannot be read is refused with the reason."""
    audit.unlink()
    audit.mkdir()
    outcome = portward("audit", "verify", str(audit))
    assert outcome.code == 1
    assert "Is a directory" in outcome.err


# -- the engine's checkpoint


@pytest.fixture
def engine(home: Path, audit: Path) -> Path:
    """An engine that has a checkpoint of the audit file, and the settings that name it."""
    path = home / "engine.db"
    asyncio.run(_keep(path, audit))
    (home / "portward.toml").write_text('[engine]\nurl = "sqlite:///engine.db"\n')
    return path


async def _keep(path: Path, audit: Path) -> None:
    engine = SqliteEngine(str(path), FakeClock())
    await engine.start(Recorder())
    text = audit.with_name("audit.jsonl.checkpoint").read_bytes()
    await engine.kv.put(Key(f"audit:audit.jsonl:{socket.gethostname()}"), text)
    await engine.stop()


@pytest.mark.p1
def test_the_engine_is_asked_where_it_lasts(portward: Console, audit: Path, engine: Path) -> None:
    """Without a word the engine of the settings vouches too, and only there is it needed."""
    outcome = portward("audit", "verify", str(audit))
    assert outcome.code == 0
    assert "checkpoint at 2, the engine's at 2: sound" in outcome.out
    assert "engine" not in portward("audit", "verify", str(audit), "--no-engine").out
    engine.unlink()
    outcome = portward("audit", "verify", str(audit))
    assert (outcome.code, outcome.out) == (1, "")
    assert "no such file" in outcome.err
    assert portward("audit", "verify", str(audit), "--no-engine").code == 0


@pytest.mark.p1
@pytest.mark.usefixtures("engine")
def test_a_tail_cut_with_its_checkpoint(portward: Console, audit: Path) -> None:
    """Who cuts the file and what lies beside it is found out by the engine."""
    audit.write_bytes(audit.read_bytes().splitlines(keepends=True)[0])
    audit.with_name("audit.jsonl.checkpoint").unlink()
    assert portward("audit", "verify", str(audit), "--no-engine").code == 0
    outcome = portward("audit", "verify", str(audit))
    assert (outcome.code, outcome.out) == (1, "")
    assert "the tail was cut: the file ends at event 1, not 2" in outcome.err


@pytest.mark.usefixtures("engine")
def test_the_checkpoint_of_another_node(portward: Console, audit: Path) -> None:
    """A node that kept none is told of when the engine was insisted on, and let pass otherwise."""
    asked = ("audit", "verify", str(audit), "--node", "n2")
    outcome = portward(*asked, "--engine")
    assert outcome.code == 1
    assert "the engine has no checkpoint of audit.jsonl" in outcome.err
    outcome = portward(*asked)
    assert outcome.code == 0
    assert "engine" not in outcome.out
    assert portward("audit", "verify", str(audit), "--node", socket.gethostname()).code == 0


def test_an_engine_that_forgets(portward: Console, audit: Path) -> None:
    """The engine of one process is asked for nothing, unless that is insisted on."""
    Path("portward.toml").write_text('[engine]\nurl = "memory://"\n')
    assert portward("audit", "verify", str(audit)).code == 0
    outcome = portward("audit", "verify", str(audit), "--engine")
    assert (outcome.code, outcome.out) == (1, "")
    assert "keeps no checkpoints" in outcome.err


@pytest.mark.usefixtures("engine")
def test_the_store_of_a_folder(portward: Console, audit: Path, home: Path) -> None:
    """Where nothing is said, the file that `serve` makes is asked if it is there."""
    (home / "portward.toml").unlink()
    assert "engine" not in portward("audit", "verify", str(audit)).out
    (home / "engine.db").rename(home / "portward.db")
    assert "the engine's at 2" in portward("audit", "verify", str(audit)).out


def test_an_engine_that_is_away(portward: Console, audit: Path, home: Path) -> None:
    """A store that does not answer leaves the tail in doubt: exit code 1, and the way around it."""
    config = home / "other.toml"
    config.write_text(f'[engine]\nurl = "redis://:{CANARY}@127.0.0.1:{free_port()}"\n')
    outcome = portward("audit", "verify", str(audit), "--config", str(config))
    assert (outcome.code, outcome.out) == (1, "")
    assert "--no-engine checks the file alone" in outcome.err
    assert CANARY not in outcome.err


def test_settings_that_are_wrong(portward: Console, audit: Path) -> None:
    """Settings that cannot be read are a usage error, and none of the file's business otherwise."""
    Path("portward.toml").write_text("[engine]\nnothing = 1\n")
    assert portward("audit", "verify", str(audit)).code == 2
    assert portward("audit", "verify", str(audit), "--no-engine").code == 0


def test_group_without_a_command(portward: Console) -> None:
    """The group alone says what is missing."""
    assert portward("audit").code == 2


def test_version(portward: Console) -> None:
    """The version stands on the first line, what it runs on below."""
    outcome = portward("version")
    assert outcome.lines[0] == f"portward {__version__}"
    assert "Python" in outcome.lines[1]
