import io
from pathlib import Path

import pytest

from portward import __version__
from portward.app.tell import make_telemetry
from portward.settings import Settings
from portward.settings.sections import Audit
from portward.telemetry.events import Event
from portward.testing import FakeClock
from tests.cli.console import Console


@pytest.fixture
def audit(home: Path) -> Path:
    """An audit file as a gateway leaves it."""
    path = home / "audit.jsonl"
    telemetry = make_telemetry(Settings(audit=Audit(file=str(path))), FakeClock(), io.StringIO())
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


def test_group_without_a_command(portward: Console) -> None:
    """The group alone says what is missing."""
    assert portward("audit").code == 2


def test_version(portward: Console) -> None:
    """The version stands on the first line, what it runs on below."""
    outcome = portward("version")
    assert outcome.lines[0] == f"portward {__version__}"
    assert "Python" in outcome.lines[1]
