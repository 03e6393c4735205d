import io
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engines.redis_servers import until
from tests.fresh import machine
from tests.fresh.machine import SOURCES, Clock, FreshError, environment, must, run


def test_a_machine_that_has_nothing(tmp_path: Path) -> None:
    """Variables of this machine are left out, but for those without which nothing can be fetched."""
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = http://127.0.0.1:1/simple\nfind-links = /wheels\n"
        "extra-index-url = file:///more\nconstraint = /constraints.txt\n"
    )
    given = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "XDG_CACHE_HOME": "/cache",
        "PYTHONPATH": "/mine",
        "PIP_FIND_LINKS": "/wheels",
        "PIP_CONFIG_FILE": str(config),
        "PIP_PROXY": "http://127.0.0.1:2",
        "no_proxy": "example.com",
        "SSL_CERT_FILE": "/certificates.pem",
    }
    made = environment(tmp_path / "home", given)
    wanted = {
        "PATH": "/bin",
        "HOME": str(tmp_path / "home"),
        "SSL_CERT_FILE": "/certificates.pem",
        "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
        "PIP_PROXY": "http://127.0.0.1:2",
        "no_proxy": "example.com,127.0.0.1,localhost",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert wanted.items() <= made.items()
    # Whatever else a file of this machine says of where packages come from.
    assert made.keys() - wanted.keys() <= set(SOURCES.values())
    assert list((tmp_path / "home").iterdir()) == []


def test_the_budget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the time is over no further command is run, and one that runs is ended."""
    clock = Clock(io.StringIO())
    monkeypatch.setattr(machine, "BUDGET", 0.0)
    with pytest.raises(FreshError, match="not done within"):
        run(clock, ("true",), {})
    monkeypatch.setattr(Clock, "left", 0.1)
    with pytest.raises(FreshError, match="not done in time"):
        run(clock, (sys.executable, "-c", "import time; time.sleep(60)"), {})


def test_everything_is_stopped() -> None:
    """When one step has failed, the commands of the others are ended, and none begins."""
    clock = Clock(io.StringIO())
    sleeping = (sys.executable, "-c", "import time; time.sleep(600)")
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, clock, sleeping, {})
        until(lambda: bool(clock.running))
        clock.stop()
        assert job.result().returncode == -signal.SIGKILL
    with pytest.raises(FreshError):
        run(clock, sleeping, {})


def test_a_command_that_fails() -> None:
    """A step that fails is named, with the end of what it printed."""
    clock = Clock(io.StringIO())
    ran = run(clock, (sys.executable, "-c", "print('why'); raise SystemExit(3)"), {})
    with pytest.raises(FreshError, match="the step: exit code 3\nwhy"):
        must(ran, "the step")
