import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portward.app.workers.control_protocol import LONGEST_LINE, Task, WorkerOrder, WorkerReport
from portward.app.workers.worker_process import WorkerProcess, ignoring_hang_ups, started
from tests.app.workers.worker_admins import bare

pytestmark = pytest.mark.timeout(180)

PATIENCE = 30.0
TASK = Task(number=3, port=4711, name="box", folder="/nowhere")

OBEDIENT = """
import os, sys
from portward.app.workers.worker import taken
place = taken(os.environ)
place.announce("ready")
for line in place._lines:
    order = line.strip()
    place.announce("reload of " + order.decode())
    if order == b"leave":
        sys.exit(7)
"""


class Hearer:
    """What a worker reported, in order."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[WorkerReport] = asyncio.Queue()

    def __call__(self, _: WorkerProcess, report: WorkerReport) -> None:
        """Take a report."""
        self.reports.put_nowait(report)

    async def next(self) -> WorkerReport:
        """Wait for the next one."""
        return await asyncio.wait_for(self.reports.get(), PATIENCE)


@asynccontextmanager
async def worker(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[WorkerProcess, Hearer, "asyncio.Task[int]"]]:
    """A process that runs `program` as a worker."""
    bare(monkeypatch)
    hearer = Hearer()
    child = await started([sys.executable, "-c", program], TASK, hearer)
    running = asyncio.create_task(child.run())
    try:
        yield child, hearer, running
    finally:
        child.kill()
        await asyncio.wait_for(running, PATIENCE)


async def test_worker_reports_and_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker learns its task, says that it accepts, hears orders, and ends with a code."""
    async with worker(OBEDIENT, monkeypatch) as (child, hearer, running):
        assert (await hearer.next()).ready
        assert child.ready
        child.order(WorkerOrder.RELOAD)
        assert (await hearer.next()).text == "reload of reload"
        child.order(WorkerOrder.LEAVE)
        assert await asyncio.wait_for(asyncio.shield(running), PATIENCE) == 7
        child.order(WorkerOrder.LEAVE)
        child.terminate()


async def test_worker_that_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end by a signal is a negative code."""
    async with worker(OBEDIENT, monkeypatch) as (child, hearer, running):
        await hearer.next()
        os.kill(child._process.pid, signal.SIGKILL)
        assert await asyncio.wait_for(asyncio.shield(running), PATIENCE) == -signal.SIGKILL


async def test_worker_that_is_terminated(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not listening yet ends by a signal of the system."""
    async with worker("import time; time.sleep(600)", monkeypatch) as (child, _, running):
        child.terminate()
        assert await asyncio.wait_for(asyncio.shield(running), PATIENCE) == -signal.SIGTERM
        assert not child.ready


async def test_why_a_worker_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker says about its failure is kept."""
    program = (
        "import os; from portward.app.workers.worker import taken; taken(os.environ).fail('no')"
    )
    async with worker(program, monkeypatch) as (child, _, running):
        await asyncio.wait_for(asyncio.shield(running), PATIENCE)
        assert child.failed == "no"


async def test_nonsense_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are no reports, and one without end, do no harm; the end is noticed all the same."""
    program = f"""
import os, socket
sock = socket.socket(fileno=int(os.environ["_PORTWARD_WORKER"]))
sock.sendall(b'nonsense\\n{{"ready":true}}\\n' + b"x" * {3 * LONGEST_LINE})
"""
    async with worker(program, monkeypatch) as (child, hearer, running):
        assert (await hearer.next()).ready
        child.kill()
        await asyncio.wait_for(asyncio.shield(running), PATIENCE)


async def test_program_that_is_not_there(tmp_path: Path) -> None:
    """A worker that cannot be started is the system's error, and leaves nothing open."""
    with pytest.raises(FileNotFoundError):
        await started([str(tmp_path / "nothing")], TASK, Hearer())


def test_a_worker_ignores_hang_ups_before_it_runs() -> None:
    """Whatever a worker's program does, and in its first moment, SIGHUP does not end it."""
    look = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    command = ignoring_hang_ups((sys.executable, "-c", look, "an 'argument' $HOME"))
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"True\n"


def test_without_a_shell_a_worker_is_started_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no shell, the command stays what it was."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert ignoring_hang_ups(("a", "b")) == ("a", "b")
