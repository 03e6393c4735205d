"""`portward` from its first instruction: signals and standard streams, before and while it starts."""

import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from portward.app.workers import control_protocol
from tests.engines.redis_servers import Server, need_redis, servers, until
from tests.process_start import (
    CAUGHT,
    IGNORED,
    PATIENCE,
    Starting,
    children,
    handles,
    has_loaded,
    starting,
)

SERVE = ("serve", "--port", "0", "--admin-port", "0")
DEMO = ("demo", "--verbose")
SLOW = ("uvloop", "_ssl", "msgspec")
"""Parts of libraries whose import takes most of the time of a start."""
PAUSE = 0.01


def storm(process: Starting, *pids: int) -> None:
    """Send SIGHUP to a process over and over until it serves, and some more then."""
    for count in itertools.count():
        for pid in pids:
            try:
                os.kill(pid, signal.SIGHUP)
            except ProcessLookupError:
                pytest.fail(process.said)
        if "\nready\n" in process.said and count % 20 == 0:
            return
        assert process.process.poll() is None, process.said
        time.sleep(PAUSE)


@pytest.mark.parametrize("command", [SERVE, DEMO])
def test_hang_ups_during_the_start_change_nothing(tmp_path: Path, command: Sequence[str]) -> None:
    """SIGHUP is ignored before anything slow is imported, and from then on until it is obeyed."""
    with starting(tmp_path, *command) as process:
        process.await_signal(signal.SIGHUP, IGNORED)
        assert not any(has_loaded(process.pid, library) for library in SLOW)
        storm(process, process.pid)
        assert process.health() == 200
        assert process.end() == 0
    assert "Traceback" not in process.said


def test_a_hang_up_that_comes_early_is_obeyed_late(tmp_path: Path) -> None:
    """Settings that are changed while the gateway starts are in force once it serves."""
    config = tmp_path / "my.toml"
    config.write_text('[limits.messages]\nrate = "7/min"\n')
    with starting(tmp_path, *SERVE, "--config", str(config)) as process:
        # From here on the settings have been read, and the gateway is not there yet.
        process.await_signal(signal.SIGHUP, CAUGHT)
        config.write_text('[limits.messages]\nrate = "5/min"\n')
        process.process.send_signal(signal.SIGHUP)
        process.await_line("^reloaded: limits.messages.rate")
        assert process.end() == 0


def test_hang_ups_that_are_ignored_from_the_outside(tmp_path: Path) -> None:
    """Started with SIGHUP ignored it lives through any, and obeys those that come while it serves."""
    config = tmp_path / "my.toml"
    config.write_text('[limits.messages]\nrate = "7/min"\n')
    with starting(tmp_path, *SERVE, "--config", str(config), before='trap "" HUP;') as process:
        process.await_signal(signal.SIGHUP, IGNORED)  # by the shell
        storm(process, process.pid)
        config.write_text('[limits.messages]\nrate = "5/min"\n')
        process.process.send_signal(signal.SIGHUP)
        process.await_line("^reloaded: limits.messages.rate")
        assert process.end() == 0


def is_python_started_by_sh(pid: int) -> bool:
    """Return whether a worker's process has become Python, however far that is."""
    try:
        program = Path(f"/proc/{pid}/exe").resolve()
        own = control_protocol.VARIABLE.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return own and program == Path(sys.executable).resolve()


@pytest.mark.long
def test_hang_ups_do_not_kill_workers(tmp_path: Path) -> None:
    """The parent and each of its workers live through SIGHUPs from their first moments on."""
    need_redis()
    with (
        servers(Server(tmp_path / "redis", "--save", "")) as (redis,),
        starting(tmp_path, *SERVE, "--workers", "2", PORTWARD_ENGINE__URL=redis.url) as process,
    ):
        process.await_signal(signal.SIGHUP, IGNORED)
        until(lambda: len(children(process.pid)) == 2, PATIENCE)
        workers = children(process.pid)
        until(lambda: all(is_python_started_by_sh(pid) for pid in workers), PATIENCE)
        assert all(handles(pid, signal.SIGHUP, IGNORED) for pid in workers)
        assert not any(has_loaded(pid, library) for pid in workers for library in SLOW)
        storm(process, process.pid, *workers)
        assert children(process.pid) == workers
        assert process.health() == 200
        assert process.end() == 0
    assert "Traceback" not in process.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", [SERVE, DEMO])
def test_asked_to_end_before_it_serves(
    tmp_path: Path, command: Sequence[str], number: signal.Signals
) -> None:
    """What is asked to end before anything is imported ends at once, with code 0 and without a word."""
    with starting(tmp_path, *command) as process:
        process.await_signal(signal.SIGTERM, CAUGHT)  # the last one that is taken
        assert process.end(number) == 0
    assert process.said == ""


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("wait", [0.1, 0.2, 0.4, 0.8, 1.2, 1.6])
def test_asked_to_end_at_any_moment(tmp_path: Path, number: signal.Signals, wait: float) -> None:
    """Whenever the signal comes during the start, the process ends with code 0 and without a traceback."""
    with starting(tmp_path, *SERVE) as process:
        process.await_signal(signal.SIGTERM, CAUGHT)
        time.sleep(wait)
        assert process.end(number) == 0
    assert "Traceback" not in process.said
    assert "rror" not in process.said


def test_another_command_that_is_interrupted(tmp_path: Path) -> None:
    """SIGINT while a command is being imported ends it with 130 and without a traceback."""
    with starting(tmp_path, "connect", "ws://127.0.0.1:9/") as process:
        until(lambda: has_loaded(process.pid, "msgspec"), PATIENCE)
        assert process.end(signal.SIGINT) == 130
    assert "Traceback" not in process.said


# -- standard streams


def free_ports() -> tuple[str, str]:
    """Return two ports that were free a moment ago."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return str(one.getsockname()[1]), str(two.getsockname()[1])


def answers(port: str, process: Starting) -> bool:
    """Return whether the gateway says that it is well."""
    assert process.process.poll() is None, process.said
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False, timeout=PATIENCE)
    except httpx.TransportError:
        return False
    return answer.status_code == 200


def most_are_long(*cases: Any, quick: int) -> list[Any]:
    """Mark all cases but the first ones as long: each is a process."""
    rest = [pytest.param(case, marks=pytest.mark.long) for case in cases[quick:]]
    return [*cases[:quick], *rest]


CLOSED = most_are_long(
    "<&- >&- 2>&-", "> /dev/full 2>&1", "2>&-", ">&-", ">&- 2>&-", "> /dev/full", quick=2
)


@pytest.mark.parametrize("redirections", CLOSED)
def test_a_gateway_serves_without_its_streams(tmp_path: Path, redirections: str) -> None:
    """Whatever standard streams are closed or full, the gateway starts, serves and ends with 0."""
    port, admin = free_ports()
    with starting(
        tmp_path, "serve", "--port", port, "--admin-port", admin, redirections=redirections
    ) as process:
        until(lambda: answers(port, process), PATIENCE)
        process.process.send_signal(signal.SIGHUP)
        assert answers(port, process)
        assert process.end() == 0
    assert "Traceback" not in process.said


RESULTS = most_are_long(
    ("config",), ("token", "--sub", "ann"), ("version",), ("--version",), ("--help",),
    ("token", "--help"), quick=1,
)  # fmt: skip


@pytest.mark.parametrize("redirections", [">&-", "> /dev/full"])
@pytest.mark.parametrize("command", RESULTS)
def test_a_result_that_cannot_be_written(
    tmp_path: Path, command: Sequence[str], redirections: str
) -> None:
    """A command whose output is its result fails with one line when that cannot be written."""
    with starting(tmp_path, *command, redirections=redirections) as process:
        assert process.process.wait(PATIENCE) == 1
    [line] = process.said.splitlines()
    assert line.startswith("portward: standard output cannot be written: ")
