import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.console import Console
from tests.cli.processes import Address, gateway


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, Path]]:
    """A gateway for all tests of a file that leave it as it is, and the folder of its state."""
    state = tmp_path_factory.mktemp("state")
    with gateway(XDG_STATE_HOME=str(state)) as (_, address):
        yield address, state


@pytest.fixture
def rooms(
    shared_gateway: tuple[Address, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> Address:
    """The rooms of a running gateway, whose secret commands find; no client has kept anything."""
    address, state = shared_gateway
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    for kept in state.rglob("connect"):
        shutil.rmtree(kept)
    return address


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
