import os
from pathlib import Path

import pytest

from tests.cli.console import Console


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place without settings and state of anybody's: the working folder of the test."""
    for name in list(os.environ):
        if name.startswith("PORTWARD_") or name in {"JWT_SECRET", "ALLOWED_ORIGINS", "PORT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def portward(capsys: pytest.CaptureFixture[str]) -> Console:
    """The command line, in this process."""
    return Console(capsys)
